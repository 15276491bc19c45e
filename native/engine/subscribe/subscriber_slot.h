// One outgoing stream of a subscriber: the track that it is bound to, the one that it sends, and the handling
// of the subscriber's feedback about it. A video slot continues with the old source until the first keyframe
// of the new one.
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

// Parts of a subscriber that its slots share.
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
  // The subscriber is connected: a keyframe may be requested.
  void OnReady(Timestamp now);
  // The subscriber's codecs or extensions changed.
  void OnRenegotiated();

  // Prefetch of the state that `OnBurst` uses, in two steps: the second follows pointers that the first
  // loads.
  void PrefetchPointers() const;
  void Prefetch() const;
  // Forwards packets of one layer, in the order of their arrival.
  void OnBurst(PublishedLayer& layer, std::span<const SourcePacket* const> burst, Timestamp now);

  // The highest layer to send; initially the highest there is. Nothing: send nothing until there is a target.
  void SetTarget(std::optional<LayerTarget> target, Timestamp now);
  // The path has collapsed: an encoding above the target stops at once, without waiting for that of the
  // target, and its queued packets are dropped.
  void LetGo(Timestamp now);
  const std::optional<LayerTarget>& target() const { return target_; }
  // The highest layer that the slot could use, whatever the bandwidth; nothing: it is not visible. It differs
  // from the target, because a layer that the publisher stops for want of bandwidth could never be measured
  // again.
  void SetDemand(std::optional<LayerTarget> demand);
  std::optional<LayerTarget> Demand() const override;
  void OnDemandChanged();
  void OnEncodingsChanged(Timestamp now) override;
  void OnSizesChanged() override { subscriber_.schedule.AllocateSoon(); }
  // The layer that is sent; nothing while none is.
  std::optional<LayerTarget> CurrentLayer() const;

  bool Takes(const PublishedLayer& layer) const override;

  // Paused for want of bandwidth; each change is reported once.
  void SetPaused(bool paused);

  // Sends a packet without new media, for probing. Returns the bytes on the wire, 0 when it cannot.
  size_t SendPadding(Timestamp now);

  void OnNack(const Nack& nack, Timestamp now);
  // The subscriber sent a PLI or FIR.
  void OnKeyframeRequest();
  void OnReportBlock(const ReportBlock& block, Timestamp now);

  // The view of the subscriber; read by the allocator.
  void SetView(const SlotView& view);
  const SlotView& view() const { return view_; }

  // No report before the first packet.
  std::optional<SenderReportFields> MakeSenderReport(Timestamp now) const;

  SlotId id() const { return id_; }
  const SlotSettings& settings() const { return settings_; }
  PublishedTrack* wanted() const { return wanted_; }
  PublishedTrack* shown() const { return shown_; }
  const SlotForwarder& forwarder() const { return forwarder_; }
  SlotStats Stats() const;

 private:
  void OnPacket(PublishedLayer& layer, std::span<const SourcePacket* const> burst, Timestamp now);
  bool Start(PublishedLayer& layer, const SourcePacket& packet);
  bool ContinuesSource(const PublishedLayer& layer) const;

  // Implemented in subscriber_slot_layers.cc.
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
  SlotView view_;
  SlotForwarder forwarder_;
  SlotHistory history_;
  RedSender red_;
  std::optional<OutgoingStream> stream_;  // for the source that is shown
  PublishedTrack* wanted_ = nullptr;
  PublishedTrack* shown_ = nullptr;
  std::optional<TrackId> announced_;
  std::optional<LayerTarget> target_ = kHighestLayer;
  std::optional<LayerTarget> demand_ = kHighestLayer;
  int64_t rtx_sequence_;
  uint32_t padding_turn_ = 0;
  bool paused_ = false;
  bool reported_ = false;  // the subscriber has read media of this stream
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;          // on the wire
  uint64_t payload_bytes_ = 0;  // as in sender reports (RFC 3550 section 6.4.1)
  uint64_t nacks_received_ = 0;
  uint64_t retransmissions_ = 0;
  uint64_t keyframe_requests_ = 0;
  uint64_t layer_switches_ = 0;  // to another encoding of the same track
  uint8_t fraction_lost_ = 0;
};

}  // namespace nexus
