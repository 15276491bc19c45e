// A track that one participant publishes under one mid, with its layers, subscribers and sinks. Each layer
// has a route, the list of slots to which its packets are forwarded.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/audio/audio_level_smoother.h"
#include "engine/audio/slot_placement.h"
#include "engine/publish/layer_demand.h"
#include "engine/publish/picture_sizes.h"
#include "engine/publish/published_layer.h"

namespace nexus {

class SubscriberSlot;
class TrackPublisher;
class TrackSink;
class TrackSubscriber;

class PublishedTrack {
 public:
  PublishedTrack(ShardContext& context, TrackPublisher& publisher, TrackId id, TrackSettings settings);
  ~PublishedTrack();
  PublishedTrack(const PublishedTrack&) = delete;
  PublishedTrack& operator=(const PublishedTrack&) = delete;

  // The layer of a RID ("" without simulcast), created when it is new; null beyond the maximum of layers.
  PublishedLayer* LayerFor(std::string_view rid);
  // Creates the layer of an encoding, for a track of another shard.
  PublishedLayer& LayerAt(std::string_view rid, uint8_t encoding);
  // Replaces a layer whose SSRC has changed by a new one.
  PublishedLayer* ReplaceLayer(PublishedLayer& layer);
  // The encoding for a slot with this target: the highest live one up to it, else the lowest; null while
  // there is none.
  PublishedLayer* EncodingFor(LayerTarget target) const;
  const std::vector<std::unique_ptr<PublishedLayer>>& layers() const { return layers_; }

  // True with several encodings: LayerTarget::spatial then selects one. Else it selects a layer within the
  // one.
  bool simulcast() const { return settings_.rids.size() > 1 || settings_.ssrcs.size() > 1; }
  // Bitrate of everything up to each layer (see LayerRates).
  LayerRates LayerBitrates(Timestamp now) const;
  const PictureSizes& sizes() const { return sizes_; }

  // Stores a packet of one of the layers. Null when it is dropped, for `reason`.
  const SourcePacket* Receive(PublishedLayer& layer, const PublishedLayer::Arrival& arrival,
                              RemoteClockOffset& remote, DropReason& reason);
  // The same for a packet of another shard, which was counted and repaired there.
  const SourcePacket* ReceiveRelayed(PublishedLayer& layer, const SourcePacket& packet,
                                     const CodecBinding& codec, Timestamp now, DropReason& reason);
  void OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now);
  // Notes which encodings are live, before the packet is forwarded. True: `OnEncodingsChanged` is due, once
  // the packets before this one are forwarded.
  bool NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  void OnEncodingsChanged(Timestamp now);

  // Requests a keyframe of the publisher, coalesced with other requests.
  void RequestKeyframe(PublishedLayer& layer);
  // The same for a subscriber that is shown a lower encoding meanwhile: the more subscribers would receive
  // the keyframe too, the less often.
  void RequestBetterKeyframe(PublishedLayer& layer);

  // Rebuilds the routes if a slot's choice has changed. Not while a burst is forwarded along one.
  void FreshenRoutes() {
    if (routes_stale_) BuildRoutes();
  }
  const std::vector<SubscriberSlot*>& RouteOf(const PublishedLayer& layer) const {
    return routes_[layer.encoding()];
  }
  void AddSubscriber(TrackSubscriber& subscriber);
  void RemoveSubscriber(TrackSubscriber& subscriber);
  // True with so many subscribers that a keyframe for one of them costs the others more than it gains. With
  // fewer, each goes up as fast as it can: a participant who watches a dozen tracks and starts low in all of
  // them takes ten seconds to the top.
  bool crowded() const { return subscribers_.size() >= kCrowd; }

  // Receivers of packets besides the slots (track_sink.h). A sink removes itself before it is destroyed.
  void AddSink(TrackSink& sink);
  void RemoveSink(TrackSink& sink);
  // How long a missing packet is requested: the longest time of any sink.
  Duration nack_patience() const;
  void ToSinks(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);

  // A slot shows or waits for another encoding; its demand is as before.
  void OnRoutesChanged() { routes_stale_ = true; }
  void OnDemandChanged();
  // Dynacast: reports the layer demand to the publisher, when it is time.
  void HandleTimeout(Timestamp now);

  void SetMuted(bool muted, Timestamp now);
  // New sizes from the publisher, low to high; those of keyframes take precedence.
  void SetSizes(std::vector<PictureSize> sizes);
  bool muted() const { return settings_.muted; }

  // Input of speaker detection: the level in the packet (RFC 6464), or an estimate without one.
  void NoteAudioLevel(const SourcePacket& packet, Timestamp now);
  // The level as the shard of the publisher measures it.
  struct RelayedLevel {
    double level_dbov;
    bool silent;
    std::optional<Timestamp> spoke_at;
  };
  void SetRelayedLevel(const RelayedLevel& level) { relayed_level_ = level; }
  double level_dbov(Timestamp now) const;
  bool silent(Timestamp now) const;
  const std::optional<Timestamp>& spoke_at() const;

  void WakePublisher();

  TrackId id() const { return id_; }
  MediaKind kind() const { return settings_.kind; }
  const TrackSettings& settings() const { return settings_; }
  TrackPublisher& publisher() const { return publisher_; }
  // Tracks with the same owner belong together: one transport, one group.
  ParticipantNumber owner() const { return owner_; }
  TrackStats Stats(Timestamp now) const;
  // The first packet has arrived. True the first time.
  bool Start() { return !std::exchange(started_, true); }
  bool started() const { return started_; }

 private:
  static constexpr size_t kCrowd = 25;

  uint8_t EncodingOf(std::string_view rid) const;
  std::unique_ptr<PublishedLayer> MakeLayer(std::string_view rid, uint8_t encoding);
  // Reads the frame size from a keyframe.
  void LearnSizes(const PublishedLayer& layer, const SourcePacket& keyframe);
  void SpreadNackPatience();
  void BuildRoutes();

  ShardContext& context_;
  TrackPublisher& publisher_;
  TrackId id_;
  TrackSettings settings_;
  ParticipantNumber owner_;
  std::vector<std::unique_ptr<PublishedLayer>> layers_;
  std::vector<TrackSubscriber*> subscribers_;
  std::array<std::vector<SubscriberSlot*>, kMaxSpatialLayers> routes_;  // by encoding: slots of subscribers_
  bool routes_stale_ = true;
  PictureSizes sizes_;
  ReportedDemand reported_demand_;
  Deadline demand_deadline_{this};
  AudioLevelSmoother level_;
  std::optional<RelayedLevel> relayed_level_;
  std::vector<TrackSink*> sinks_;
  bool tells_level_ = false;
  bool started_ = false;
};

}  // namespace nexus
