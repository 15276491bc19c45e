// A track whose publisher is on another shard. Its packets come by relay, and requests to the publisher are
// sent back over it. For slots it is a track like any other.
#pragma once

#include <array>
#include <memory>

#include "engine/publish/published_track.h"
#include "engine/publish/track_publisher.h"
#include "engine/relay/relay_message.h"

namespace nexus {

class FanOut;
class Room;

class RelayedTrack final : public TrackPublisher {
 public:
  // `shard` is that of the publisher.
  RelayedTrack(ShardContext& context, FanOut& fan_out, const Room& room, uint16_t shard,
               const RelayTrackAdded& added);
  ~RelayedTrack() override;
  RelayedTrack(const RelayedTrack&) = delete;
  RelayedTrack& operator=(const RelayedTrack&) = delete;

  void OnSource(const RelaySource& source);
  void OnPacket(const RelayPacket& packet, Timestamp now);
  void HandleTimeout(Timestamp now);

  TransportId id() const override { return publisher_; }
  RoomId room() const override;
  void Schedule() override;
  void OnInterest(PublishedTrack& track, bool wanted) override;
  bool OnDemand(PublishedTrack& track, const LayerDemand& demand) override;
  bool Speaks(ParticipantNumber owner, Timestamp now) const override;

  PublishedTrack& track() { return *track_; }
  uint16_t shard() const { return shard_; }

 private:
  struct Encoding {
    PublishedLayer* layer = nullptr;  // owned by the track
    uint32_t life = 0;
    CodecBinding codec;
    std::optional<int64_t> newest;
  };

  ShardContext& context_;
  FanOut& fan_out_;
  const Room& room_;
  uint16_t shard_;
  TransportId publisher_;
  Deadline deadline_{this};
  std::array<Encoding, kMaxRelayedEncodings> encodings_{};
  std::unique_ptr<PublishedTrack> track_;
};

}  // namespace nexus
