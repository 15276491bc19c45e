// What one participant publishes under one mid, and who watches it. The list of slots is the route: a packet
// goes to each of them, whatever the size of the room.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/audio/audio_level_smoother.h"
#include "engine/audio/slot_placement.h"
#include "engine/publish/layer_wishes.h"
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

  // The layer of a RID ("" without simulcast), made when it is new and there is room; null when there is
  // none.
  PublishedLayer* LayerFor(std::string_view rid);
  // The same by its place among the encodings, for a track of another shard.
  PublishedLayer& LayerAt(std::string_view rid, uint8_t encoding);
  // A new life for a layer whose SSRC changed; the old one is gone.
  PublishedLayer* ReplaceLayer(PublishedLayer& layer);
  // What a slot with this target is to show: the highest living encoding up to it, else the lowest one; null
  // while there is none.
  PublishedLayer* EncodingFor(LayerTarget target) const;
  const std::vector<std::unique_ptr<PublishedLayer>>& layers() const { return layers_; }

  // Several encodings: a LayerTarget's spatial part counts them. Else it counts the layers within the one.
  bool simulcast() const { return settings_.rids.size() > 1 || settings_.ssrcs.size() > 1; }
  // What forwarding up to each layer takes (see LayerRates).
  LayerRates LayerBitrates(Timestamp now) const;
  const PictureSizes& sizes() const { return sizes_; }

  // A packet of one of the layers: stored, and inspected. Null when it goes no further; `reason` says why.
  const SourcePacket* Receive(PublishedLayer& layer, const PublishedLayer::Arrival& arrival,
                              RemoteClockOffset& remote, DropReason& reason);
  // The same of a packet of another shard, counted and repaired there.
  const SourcePacket* ReceiveRelayed(PublishedLayer& layer, const SourcePacket& packet,
                                     const CodecBinding& codec, Timestamp now, DropReason& reason);
  void OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now);
  // Which encodings are alive, before the packet is forwarded. True: `OnEncodingsChanged` is due, once what
  // came before this packet is forwarded.
  bool NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);
  void OnEncodingsChanged(Timestamp now);

  // Asks the publisher for a keyframe, coalesced with other requests.
  void RequestKeyframe(PublishedLayer& layer);
  // For a subscriber that is shown a lower encoding meanwhile: the more subscribers would get the keyframe
  // too, the less often.
  void RequestBetterKeyframe(PublishedLayer& layer);

  // Who gets a layer's packets; made anew when somebody's choice has changed, not while a burst walks along
  // it.
  void FreshenRoutes() {
    if (routes_stale_) BuildRoutes();
  }
  const std::vector<SubscriberSlot*>& RouteOf(const PublishedLayer& layer) const {
    return routes_[layer.encoding()];
  }
  void AddSubscriber(TrackSubscriber& subscriber);
  void RemoveSubscriber(TrackSubscriber& subscriber);
  // So many watch that a keyframe for one of them costs more than that one gains. Fewer go up as fast as they
  // can: in a meeting everybody watches a dozen, and whoever begins low in all of them takes ten seconds to
  // the top.
  bool crowded() const { return subscribers_.size() >= kCrowd; }

  // Who takes packets beside the slots (track_sink.h). Takes itself out before it goes.
  void AddSink(TrackSink& sink);
  void RemoveSink(TrackSink& sink);
  // What is missing is asked for as long as the most patient sink wants it.
  Duration nack_patience() const;
  void ToSinks(PublishedLayer& layer, const SourcePacket& packet, Timestamp now);

  // A slot shows or waits for another encoding; its wish is as before.
  void OnRoutesChanged() { routes_stale_ = true; }
  void OnWishesChanged();
  // Dynacast: tells the publisher what anybody wants, when it is time.
  void HandleTimeout(Timestamp now);

  void SetMuted(bool muted, Timestamp now);
  // As the publisher says now, low to high; what keyframes say counts for more.
  void SetSizes(std::vector<PictureSize> sizes);
  bool muted() const { return settings_.muted; }

  // Feeds speaker detection: the level that the packet tells (RFC 6464), or what can be guessed without.
  void NoteAudioLevel(const SourcePacket& packet, Timestamp now);
  // As its own shard measures it.
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
  TrackReport Report(Timestamp now) const;
  // Its first packet has come. True the first time.
  bool Start() { return !std::exchange(started_, true); }
  bool started() const { return started_; }

 private:
  static constexpr size_t kCrowd = 25;

  uint8_t EncodingOf(std::string_view rid) const;
  std::unique_ptr<PublishedLayer> MakeLayer(std::string_view rid, uint8_t encoding);
  // A keyframe says how large its pictures are.
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
  LayerWishes wishes_;
  Deadline wishes_deadline_{this};
  AudioLevelSmoother level_;
  std::optional<RelayedLevel> relayed_level_;
  std::vector<TrackSink*> sinks_;
  bool tells_level_ = false;
  bool started_ = false;
};

}  // namespace nexus
