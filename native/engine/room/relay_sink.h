// Relay of one published track to one other shard of its room: of video while the other shard has a demand,
// of audio while the room hears it.
#pragma once

#include <array>

#include "engine/control/shard_context.h"
#include "engine/publish/track_sink.h"
#include "engine/relay/relay_message.h"

namespace nexus {

class Room;

class RelaySink final : public TrackSink {
 public:
  // Announces the track to the other shard.
  RelaySink(ShardContext& context, const Room& room, PublishedTrack& track, uint16_t to);
  ~RelaySink() override;
  RelaySink(const RelaySink&) = delete;
  RelaySink& operator=(const RelaySink&) = delete;

  void OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) override;
  void OnSenderReport(PublishedLayer&, const SenderReport&, Timestamp) override {
  }  // relayed packets carry their media time
  void OnMuted(bool muted, Timestamp now) override;
  void OnSizes(const PublishedTrack& track) override;
  void OnTrackGone(PublishedTrack& track) override;
  Duration nack_patience() const override { return Duration(0); }

  void OnInterest(const RelayInterest& interest);
  LayerDemand Demand() const override { return demand_; }
  void OnKeyframeRequest(uint8_t encoding);

  uint16_t to() const { return to_; }
  bool gone() const { return track_ == nullptr; }

 private:
  void TellSource(const PublishedLayer& layer);
  void SendPacket(const PublishedLayer& layer, const SourcePacket& packet);

  ShardContext& context_;
  const Room& room_;
  PublishedTrack* track_;
  uint16_t to_;
  LayerDemand demand_;  // of the other shard, for video
  std::array<std::optional<RelaySource>, kMaxRelayedEncodings> sent_sources_{};
};

}  // namespace nexus
