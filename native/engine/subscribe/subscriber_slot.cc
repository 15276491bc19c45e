#include "engine/subscribe/subscriber_slot.h"

#include <algorithm>

#include "engine/base/prefetch.h"

namespace nexus {
namespace {

SlotConfig ForwarderConfig(const SlotSettings& settings, std::mt19937_64& random, Timestamp now) {
  SlotConfig config;
  config.video = settings.kind == MediaKind::kVideo;
  config.clock_rate = config.video ? 90'000 : 48'000;
  config.initial_sequence = static_cast<uint16_t>(random() & 0x7FFF);
  config.initial_timestamp = static_cast<uint32_t>(random());
  config.created = now;
  return config;
}

SlotHistoryConfig HistoryConfig(const SlotSettings& settings) {
  SlotHistoryConfig config;
  config.capacity = settings.kind == MediaKind::kVideo ? 1024 : 128;
  config.keep_ticks = settings.kind == MediaKind::kVideo ? 63'000 : 33'600;  // 700 ms
  return config;
}

RedSenderConfig RedConfig(const ShardConfig& shard) {
  RedSenderConfig config;
  config.distance = shard.red_distance;
  return config;
}

}  // namespace

SubscriberSlot::SubscriberSlot(ShardContext& context, const SubscriberParts& subscriber, SlotId id,
                               const SlotSettings& settings, Timestamp now)
    : context_(context),
      subscriber_(subscriber),
      id_(id),
      settings_(settings),
      forwarder_(ForwarderConfig(settings, context.random, now)),
      history_(HistoryConfig(settings)),
      red_(RedConfig(context.config)),
      // Below 2^15, so that the first wrap is far away (hard problem 8).
      rtx_sequence_(static_cast<int64_t>(context.random() & 0x7FFF)) {
  OnRenegotiated();
}

SubscriberSlot::~SubscriberSlot() {
  if (shown_ != nullptr) shown_->RemoveSubscriber(*this);
  if (wanted_ != nullptr && wanted_ != shown_) wanted_->RemoveSubscriber(*this);
}

void SubscriberSlot::Bind(PublishedTrack& track, Timestamp now) {
  if (wanted_ == &track) return;
  if (wanted_ != nullptr && wanted_ != shown_) wanted_->RemoveSubscriber(*this);
  wanted_ = &track;
  if (shown_ != &track) track.AddSubscriber(*this);  // else it returns to the track that is still shown
  // Before the path is measured its capacity is unknown. A slot that began with the highest encoding might
  // have to go down and up again, at the cost of two keyframes for all subscribers.
  if (target_ && track.crowded() && subscriber_.sender.guesses()) target_->spatial = 0;
  OnChoiceChanged(now);
}

void SubscriberSlot::OnRenegotiated() {
  stream_.reset();
  forwarder_.ForwardDescriptors(
      subscriber_.negotiated.slot_extensions().has(RtpExtension::kDependencyDescriptor));
}

void SubscriberSlot::OnReady(Timestamp now) { AskForWanted(now); }

void SubscriberSlot::Unbind() {
  if (wanted_ != nullptr && wanted_ != shown_) wanted_->RemoveSubscriber(*this);
  wanted_ = nullptr;
  LeaveShown();
  Announce(std::nullopt);
}

void SubscriberSlot::LeaveShown() {
  if (shown_ == nullptr) return;
  if (shown_ != wanted_) shown_->RemoveSubscriber(*this);
  shown_ = nullptr;
  stream_.reset();
  forwarder_.Unbind();
}

void SubscriberSlot::OnTrackGone(PublishedTrack& track) {
  if (wanted_ == &track) wanted_ = nullptr;
  if (shown_ == &track) {
    LeaveShown();
    Announce(std::nullopt);
  }
  track.RemoveSubscriber(*this);
}

void SubscriberSlot::OnTrackPaused(PublishedTrack& track) {
  // Only if it is still bound: a track that is shown until the keyframe of another one continues until then.
  if (shown_ == &track && wanted_ == &track) LeaveShown();
}

bool SubscriberSlot::ContinuesSource(const PublishedLayer& layer) const {
  const std::optional<SlotSource>& source = forwarder_.source();
  return source && source->layer == layer.id() && source->codec == layer.codec()->codec;
}

void SubscriberSlot::PrefetchPointers() const {
  PrefetchForRead(&history_, kCacheLine);
  PrefetchForRead(&forwarder_, kCacheLine);
  subscriber_.sender.PrefetchPointers();
}

void SubscriberSlot::Prefetch() const {
  forwarder_.Prefetch();
  history_.Prefetch();
  PrefetchForWrite(&stream_, sizeof stream_ + kCacheLine);
  PrefetchForWrite(&packets_, kCacheLine);
  subscriber_.sender.Prefetch();
}

void SubscriberSlot::OnBurst(PublishedLayer& layer, std::span<const SourcePacket* const> burst,
                             Timestamp now) {
  if (!subscriber_.sender.ready()) return context_.drops.Count(DropReason::kTransportNotReady, burst.size());
  for (; !burst.empty(); burst = burst.subspan(1)) OnPacket(layer, burst, now);
}

// Forwards the first packet of `burst`.
void SubscriberSlot::OnPacket(PublishedLayer& layer, std::span<const SourcePacket* const> burst,
                              Timestamp now) {
  const SourcePacket& packet = *burst.front();
  // The old source continues until the new one begins, which may be another track, encoding, codec or SSRC.
  if (!ContinuesSource(layer) && !Start(layer, packet)) return;
  bool first_of_binding = false;
  if (!Forward(layer, packet, now, first_of_binding)) return;
  // If the first packet of the keyframe came late, the packets that overtook it follow from the ring.
  if (first_of_binding || packet.frame.keyframe_start)
    ForwardStored(layer, packet.sequence_number + 1, burst.subspan(1), now);
  if (forwarder_.wants_keyframe() && !layer.keyframes().pending()) layer.track().RequestKeyframe(layer);
}

bool SubscriberSlot::Start(PublishedLayer& layer, const SourcePacket& packet) {
  if (WantedEncoding() != &layer) {
    context_.drops.Count(DropReason::kLayerNotForwarded);
    return false;
  }
  if (settings_.kind == MediaKind::kVideo && !packet.frame.keyframe_start) {
    context_.drops.Count(DropReason::kWaitingForKeyframe);
    AskForKeyframe(layer);
    return false;
  }
  std::optional<OutgoingStream> stream = StreamFor(*layer.codec());
  if (!stream) {
    context_.drops.Count(DropReason::kCodecNotNegotiated);
    return false;
  }
  if (shown_ != &layer.track()) LeaveShown();
  if (Bound() != nullptr) ++layer_switches_;
  stream_ = stream;
  shown_ = &layer.track();
  forwarder_.Bind(SlotSource{layer.id(), shown_->settings().number, layer.codec()->codec});
  shown_->OnRoutesChanged();
  LimitLayers();
  return true;
}

bool SubscriberSlot::Forward(PublishedLayer& layer, const SourcePacket& packet, Timestamp now,
                             bool& first_of_binding) {
  const std::optional<Rewritten> rewritten = forwarder_.Forward(layer.id(), packet);
  if (!rewritten) {
    if (packet.payload.empty()) return false;  // a probe; counted where it came in
    const bool waiting = forwarder_.waiting_for_keyframe();
    context_.drops.Count(waiting ? DropReason::kWaitingForKeyframe : DropReason::kSlotRejected);
    if (waiting && !layer.keyframes().pending()) layer.track().RequestKeyframe(layer);
    return false;
  }
  first_of_binding = rewritten->first_of_binding;
  if (!stream_) stream_ = StreamFor(*layer.codec());
  if (!stream_) {
    context_.drops.Count(DropReason::kCodecNotNegotiated);
    return false;
  }
  if (rewritten->sets_in_front) SendParameterSets(layer, *rewritten, now);
  history_.OnSent(layer.id(), packet.sequence_number, *rewritten);
  const size_t sent = Send(layer, packet, *rewritten, now);
  if (sent == 0) return false;
  if (packets_ == 0)
    subscriber_.schedule.ReportSoon(now);  // audio and video are in sync from the first report on
  ++packets_;
  bytes_ += sent;
  subscriber_.sender.retransmissions().OnMedia(sent);
  payload_bytes_ += packet.payload.size();
  Announce(layer.track().id());
  return true;
}

void SubscriberSlot::SendParameterSets(const PublishedLayer& layer, const Rewritten& keyframe,
                                       Timestamp now) {
  const SourcePacket* sets = layer.remembered_sets().packet();
  if (sets == nullptr) return;  // no longer kept: the number counts as lost
  Rewritten rewritten = keyframe;
  --rewritten.sequence_number;
  rewritten.marker = false;
  rewritten.patch = {};
  rewritten.descriptor = {};
  history_.OnSent(layer.id(), sets->sequence_number, rewritten);
  const size_t sent = subscriber_.sender.SendMedia(*stream_, *sets, rewritten, now);
  if (sent == 0) return;
  ++packets_;
  bytes_ += sent;
  payload_bytes_ += sets->payload.size();
}

size_t SubscriberSlot::Send(const PublishedLayer& layer, const SourcePacket& packet,
                            const Rewritten& rewritten, Timestamp now) {
  const size_t distance = stream_->red_payload_type ? red_.Distance(packet.redundant, now) : 0;
  if (distance == 0 || layer.ring() == nullptr)
    return subscriber_.sender.SendMedia(*stream_, packet, rewritten, now);
  std::array<uint8_t, kMaxRedPrefixSize> scratch;
  const ByteView redundancy = WriteRedundancy(scratch, history_, layer.id(), *layer.ring(), packet, rewritten,
                                              stream_->payload_type, distance);
  payload_bytes_ += redundancy.size();
  return subscriber_.sender.SendMedia(*stream_, packet, rewritten, now, redundancy);
}

// Forwards the stored packets from `from` on, except those in `coming`, which the caller forwards next.
void SubscriberSlot::ForwardStored(PublishedLayer& layer, int64_t from,
                                   std::span<const SourcePacket* const> coming, Timestamp now) {
  const PacketRing* ring = layer.ring();
  if (ring == nullptr || !ring->newest()) return;
  for (int64_t sequence = from; sequence <= *ring->newest(); ++sequence) {
    const SourcePacket* stored = ring->Find(sequence);
    bool first = false;
    if (std::find(coming.begin(), coming.end(), stored) != coming.end()) continue;
    if (stored != nullptr && shown_ != nullptr) Forward(layer, *stored, now, first);
  }
}

std::optional<OutgoingStream> SubscriberSlot::StreamFor(const CodecBinding& source) const {
  const CodecBinding* binding = subscriber_.negotiated.codecs.Matching(source);
  if (binding == nullptr) return std::nullopt;
  OutgoingStream stream;
  stream.ssrc = settings_.ssrc;
  stream.payload_type = binding->payload_type;
  stream.rtx_ssrc = settings_.rtx_ssrc.value_or(Ssrc{});
  stream.rtx_payload_type =
      settings_.rtx_ssrc ? binding->rtx_payload_type.value_or(PayloadType{}) : PayloadType{};
  stream.red_payload_type = binding->red_payload_type;
  stream.video = settings_.kind == MediaKind::kVideo;
  stream.ids = subscriber_.negotiated.slot_extensions();
  return stream;
}

void SubscriberSlot::SetPaused(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  context_.events.Push(SlotPaused{id_, paused});
}

void SubscriberSlot::OnNack(const Nack& nack, Timestamp now) {
  nack.ForEach([&](uint16_t sequence) {
    ++nacks_received_;
    SentPacket sent;
    if (history_.OnNack(sequence, now, subscriber_.sender.rtt(), sent) == ResendOutcome::kResend)
      Resend(sent, now);
  });
}

void SubscriberSlot::Resend(const SentPacket& sent, Timestamp now) {
  const PublishedLayer* layer = context_.layers.Find(sent.layer);
  if (layer == nullptr || layer->ring() == nullptr || !subscriber_.sender.ready()) return;
  const SourcePacket* packet = layer->Find(sent.source_sequence);
  const std::optional<OutgoingStream> stream = StreamFor(*layer->codec());
  // A packet is never sent twice under one SRTP index: abs-send-time differs, and GCM must not use one nonce
  // for different data (RFC 7714 section 8.1). Without RTX the loss lasts until the next keyframe.
  if (packet == nullptr || !stream || stream->rtx_payload_type.value == 0) return;
  if (!subscriber_.sender.retransmissions().Take(packet->payload.size(), now)) {
    return context_.drops.Count(DropReason::kResendLimited);
  }
  const size_t size = subscriber_.sender.SendRtx(*stream, *packet, sent.rewritten, rtx_sequence_, now);
  if (size == 0) return;
  ++rtx_sequence_;
  ++retransmissions_;
  bytes_ += size;
}

void SubscriberSlot::OnReportBlock(const ReportBlock& block, Timestamp now) {
  fraction_lost_ = block.fraction_lost;
  // Some receivers report streams of which they have read nothing yet, with 0 as the highest sequence number.
  if (const std::optional<int64_t> highest = forwarder_.highest_sequence()) {
    const auto behind = static_cast<uint16_t>(*highest - block.extended_highest_sequence);
    if (behind < packets_) reported_ = true;
  }
  red_.OnFractionLost(block.fraction_lost, now);
}

void SubscriberSlot::OnKeyframeRequest() {
  ++keyframe_requests_;
  if (settings_.kind != MediaKind::kVideo) return;
  PublishedLayer* layer = Bound() != nullptr ? Bound() : WantedEncoding();
  if (layer == nullptr || layer->track().muted()) return;
  layer->track().RequestKeyframe(*layer);
}

std::optional<SenderReportFields> SubscriberSlot::MakeSenderReport(Timestamp now) const {
  if (packets_ == 0) return std::nullopt;
  SenderReportFields report;
  report.sender = settings_.ssrc;
  report.ntp = NtpFromTimestamp(now);
  report.rtp_timestamp = forwarder_.RtpTimestampAt(now);
  report.packet_count = static_cast<uint32_t>(packets_);
  report.octet_count = static_cast<uint32_t>(payload_bytes_);
  return report;
}

SlotStats SubscriberSlot::Stats() const {
  SlotStats report;
  report.slot = id_;
  if (shown_ != nullptr) report.track = shown_->id();
  report.packets = packets_;
  report.bytes = bytes_;
  report.nacks_received = nacks_received_;
  report.retransmissions = retransmissions_;
  report.plis_received = keyframe_requests_;
  report.fraction_lost = fraction_lost_ / 256.0;
  report.target = target_;
  report.layer = CurrentLayer();
  report.layer_switches = layer_switches_;
  report.layer_packets_left_out = forwarder_.counters().layers_left_out;
  return report;
}

void SubscriberSlot::Announce(std::optional<TrackId> track) {
  if (announced_ == track) return;
  announced_ = track;
  subscriber_.schedule.AllocateSoon();
  if (settings_.kind == MediaKind::kVideo)
    subscriber_.audio.PlaceAnew();  // the audio of its pair may move here
  context_.events.Push(SlotChanged{id_, track});
}

}  // namespace nexus
