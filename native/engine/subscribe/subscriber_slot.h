// One outgoing stream of a subscriber: what it is wished to show, what it really sends, and the answers to
// the subscriber's feedback about it. A video slot goes on with the old source until the new one's first
// keyframe.
#pragma once

#include <optional>

#include "engine/forward/assembler.h"
#include "engine/forward/layer_target.h"
#include "engine/forward/red_sender.h"
#include "engine/forward/slot_forwarder.h"
#include "engine/forward/slot_history.h"
#include "engine/media/negotiated_media.h"
#include "engine/publish/published_track.h"
#include "engine/publish/track_subscriber.h"
#include "engine/rtcp/rtcp_packet.h"
#include "engine/rtcp/rtcp_writer.h"
#include "engine/subscribe/audio_subscription.h"
#include "engine/subscribe/media_sender.h"

namespace nexus {

// What the slots of one subscriber share.
struct SubscriberParts {
  MediaSender& sender;
  const NegotiatedMedia& negotiated;
  TransportSchedule& schedule;
  AudioSubscription& audio;
};

class SubscriberSlot final : public TrackSubscriber {
 public:
  SubscriberSlot(ShardContext& context, const SubscriberParts& subscriber, SlotId id,
                 const SlotSettings& settings, Timestamp now);
  ~SubscriberSlot() override;
  SubscriberSlot(const SubscriberSlot&) = delete;
  SubscriberSlot& operator=(const SubscriberSlot&) = delete;

  void Bind(PublishedTrack& track, Timestamp now);
  void Unbind();
  SubscriberSlot& slot() override { return *this; }
  void OnTrackGone(PublishedTrack& track) override;
  void OnTrackPaused(PublishedTrack& track) override;
  // The subscriber's connection is up: what it waits for may be asked for.
  void OnReady(Timestamp now);
  // The subscriber's codecs or extensions changed.
  void OnRenegotiated();

  // In two steps, as the second follows pointers that the first brings: what `OnBurst` will look at.
  void PrefetchPointers() const;
  void Prefetch() const;
  // Packets of one layer, in the order in which they came.
  void OnBurst(PublishedLayer& layer, std::span<const SourcePacket* const> burst, Timestamp now);

  // How far up to go, until told otherwise as high as there is; nothing: send nothing, until a target comes
  // again.
  void SetTarget(std::optional<LayerTarget> target, Timestamp now);
  // The path has collapsed: an encoding above the target is not shown until that comes, what waits of it is
  // not sent.
  void LetGo(Timestamp now);
  const std::optional<LayerTarget>& target() const { return target_; }
  // How far up it would be shown if bandwidth were no matter; nothing: it is not looked at. Not the target: a
  // publisher that stops what is not affordable could never be measured again.
  void SetWish(std::optional<LayerTarget> wish);
  std::optional<LayerTarget> Wish() const override;
  void OnWishChanged();
  void OnEncodingsChanged(Timestamp now) override;
  void OnSizesChanged() override { subscriber_.schedule.AllocateSoon(); }
  // What is sent; nothing when nothing is.
  std::optional<LayerTarget> CurrentLayer() const;
  // It is shown from this encoding or waits for it.
  bool Takes(const PublishedLayer& layer) const override;

  // For want of bandwidth; told once for each change.
  void SetPaused(bool paused);

  // A packet that brings nothing new, for probing: the bytes on the wire, 0 when there is no way to send one.
  size_t SendPadding(Timestamp now);

  void OnNack(const Nack& nack, Timestamp now);
  // PLI or FIR.
  void OnKeyframeRequest();
  void OnReportBlock(const ReportBlock& block, Timestamp now);

  // How the subscriber shows it; read by the allocator.
  void SetPreferences(const SlotPreferences& preferences);
  const SlotPreferences& preferences() const { return preferences_; }

  // Nothing before the first packet.
  std::optional<SenderReportFields> MakeSenderReport(Timestamp now) const;

  SlotId id() const { return id_; }
  const SlotSettings& settings() const { return settings_; }
  PublishedTrack* wanted() const { return wanted_; }
  PublishedTrack* shown() const { return shown_; }
  const SlotForwarder& forwarder() const { return forwarder_; }
  SlotReport Report() const;

 private:
  void OnPacket(PublishedLayer& layer, std::span<const SourcePacket* const> burst, Timestamp now);
  bool Start(PublishedLayer& layer, const SourcePacket& packet);
  bool ContinuesSource(const PublishedLayer& layer) const;

  // subscriber_slot_layers.cc
  PublishedLayer* Bound() const;
  PublishedLayer* WantedEncoding() const;
  void OnChoiceChanged(Timestamp now);
  void LimitLayers();
  void AskForWanted(Timestamp now);
  void AskForKeyframe(PublishedLayer& layer);
  bool StartFromCache(PublishedLayer& layer, Timestamp now);

  bool Forward(PublishedLayer& layer, const SourcePacket& packet, Timestamp now, bool& first_of_binding);
  void ForwardStored(PublishedLayer& layer, int64_t from, std::span<const SourcePacket* const> coming,
                     Timestamp now);
  std::optional<OutgoingStream> StreamFor(const CodecBinding& source) const;
  void SendParameterSets(const PublishedLayer& layer, const Rewritten& keyframe, Timestamp now);
  size_t Send(const PublishedLayer& layer, const SourcePacket& packet, const Rewritten& rewritten,
              Timestamp now);
  void Resend(const SentPacket& sent, Timestamp now);
  size_t SendMediaPadding(Timestamp now);
  void LeaveShown();
  void Announce(std::optional<TrackId> track);

  ShardContext& context_;
  SubscriberParts subscriber_;
  SlotId id_;
  SlotSettings settings_;
  SlotPreferences preferences_;
  SlotForwarder forwarder_;
  SlotHistory history_;
  RedSender red_;
  std::optional<OutgoingStream> stream_;  // for the source that is shown
  PublishedTrack* wanted_ = nullptr;
  PublishedTrack* shown_ = nullptr;
  std::optional<TrackId> announced_;
  std::optional<LayerTarget> target_ = kHighestLayer;
  std::optional<LayerTarget> wish_ = kHighestLayer;
  int64_t rtx_sequence_;
  uint32_t padding_turn_ = 0;
  bool paused_ = false;
  bool reported_ = false;  // the subscriber has read media of this stream
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;          // on the wire
  uint64_t payload_bytes_ = 0;  // as sender reports count (RFC 3550 section 6.4.1)
  uint64_t nacks_received_ = 0;
  uint64_t retransmissions_ = 0;
  uint64_t keyframe_requests_ = 0;
  uint64_t layer_switches_ = 0;  // to another encoding of the same track
  uint8_t fraction_lost_ = 0;
};

}  // namespace nexus
