#include "engine/subscribe/media_sender.h"

#include <algorithm>
#include <array>

#include "engine/base/prefetch.h"
#include "engine/publish/published_layer.h"

namespace nexus {
namespace {

constexpr uint8_t kPaddingSize = 224;  // the largest multiple of 32 that fits the count of one byte
// Pacing rate as a multiple of the estimate: media comes in bursts, one frame at a time.
constexpr double kPacingFactor = 2.0;
// The same while the path has a standing queue.
constexpr double kCongestedFactor = 1.1;
// Minimum pacing rate before the first measurement: a first frame that is delayed is worse than one that is
// lost.
constexpr int64_t kUnmeasuredPacingBps = 10'000'000;
// Share of the estimate below which pacing is relaxed.
constexpr double kRelaxedBelow = 0.5;
constexpr size_t kRunPackets = 10;

}  // namespace

MediaSender::MediaSender(ShardContext& context, const IceLite& ice, TransportSchedule& schedule,
                         bool has_transport_feedback)
    : context_(context), ice_(ice), schedule_(schedule) {
  control_.emplace(context.config.bandwidth, has_transport_feedback, context.config.first_transport_sequence);
}

void MediaSender::SetTransportFeedback(bool has_transport_feedback) {
  control_.emplace(context_.config.bandwidth, has_transport_feedback,
                   context_.config.first_transport_sequence);
  if (ready()) control_->estimator.Start(schedule_.last_timeout());
}

void MediaSender::PrefetchPointers() const {
  PrefetchForRead(&ice_.selected(), kCacheLine);
  PrefetchForWrite(&sealer_, kCacheLine);
  PrefetchForWrite(&packets_, kCacheLine);
}

void MediaSender::Prefetch() const {
  if (sealer_) sealer_->Prefetch();
  control_->estimator.Prefetch();
  PrefetchForWrite(&control_->budget, sizeof control_->budget + kCacheLine);
}

size_t MediaSender::Seal(const OutgoingPacket& packet, uint64_t index, Timestamp now) {
  if (packet.header.empty()) return context_.drops.Count(DropReason::kTooLarge), 0;
  const MutableByteView out = context_.out.Reserve(packet.size() + kSrtpMaxRtpOverhead);
  if (out.empty()) return context_.drops.Count(DropReason::kTransmitOverflow), 0;
  const size_t size = sealer_->SealRtp(packet.header, packet.prefix, packet.rest, index, out);
  if (size == 0) return context_.drops.Count(DropReason::kSealFailed), 0;
  context_.out.Commit(cursor_, *ice_.selected(), size);
  // Only a packet that is sent takes a transport-wide number: a missing number would count as loss.
  control_->estimator.OnSent(size, control_->probe ? control_->probe->id() : kNoProbe, now);
  control_->budget.OnSent(size, now);
  if (control_->probe) control_->probe->OnSent(size);
  ++packets_;
  bytes_ += size;
  return size;
}

size_t MediaSender::SendMedia(const OutgoingStream& stream, const SourcePacket& packet,
                              const Rewritten& rewritten, Timestamp now, ByteView red_prefix) {
  if (Hold(stream, packet, rewritten, std::nullopt, now)) return packet.payload.size() + kTypicalOverhead;
  return SealMedia(stream, packet, rewritten, now, red_prefix);
}

size_t MediaSender::SealMedia(const OutgoingStream& stream, const SourcePacket& packet,
                              const Rewritten& rewritten, Timestamp now, ByteView red_prefix) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), control_->estimator.next_sequence()};
  return Seal(red_prefix.empty() ? AssembleMedia(scratch, stream, transmission, packet, rewritten)
                                 : AssembleRed(scratch, stream, transmission, packet, rewritten, red_prefix),
              static_cast<uint64_t>(rewritten.sequence_number), now);
}

size_t MediaSender::SendRtx(const OutgoingStream& stream, const SourcePacket& packet,
                            const Rewritten& rewritten, int64_t rtx_sequence, Timestamp now) {
  if (Hold(stream, packet, rewritten, rtx_sequence, now)) return packet.payload.size() + kTypicalOverhead;
  return SealRtx(stream, packet, rewritten, rtx_sequence, now);
}

size_t MediaSender::SealRtx(const OutgoingStream& stream, const SourcePacket& packet,
                            const Rewritten& rewritten, int64_t rtx_sequence, Timestamp now) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), control_->estimator.next_sequence()};
  return Seal(AssembleRtx(scratch, stream, transmission, packet, rewritten, rtx_sequence),
              static_cast<uint64_t>(rtx_sequence), now);
}

// A retransmission packet of pure padding (RFC 3550 section 5.1) without an original, as libwebrtc sends, for
// when no packet was sent that could be repeated. RFC 4588 does not describe it.
size_t MediaSender::SealPadding(const OutgoingStream& stream, int64_t rtx_sequence, Timestamp now) {
  OutgoingRtpHeader header;
  header.payload_type = stream.rtx_payload_type;
  header.sequence_number = static_cast<uint16_t>(rtx_sequence);
  header.ssrc = stream.rtx_ssrc;
  header.ids = stream.ids;
  return SealPadding(header, static_cast<uint64_t>(rtx_sequence), now);
}

size_t MediaSender::SealMediaPadding(const OutgoingStream& stream, const Rewritten& rewritten,
                                     Timestamp now) {
  OutgoingRtpHeader header;
  header.payload_type = stream.payload_type;
  header.sequence_number = static_cast<uint16_t>(rewritten.sequence_number);
  header.timestamp = rewritten.timestamp;
  header.ssrc = stream.ssrc;
  header.csrc = rewritten.csrc;
  header.ids = stream.ids;
  return SealPadding(header, static_cast<uint64_t>(rewritten.sequence_number), now);
}

size_t MediaSender::SealPadding(OutgoingRtpHeader& header, uint64_t index, Timestamp now) {
  std::array<uint8_t, kMaxPlainRtpHeaderSize> scratch;
  header.video = true;
  header.abs_send_time = AbsSendTimeAt(now);
  header.transport_sequence_number = control_->estimator.next_sequence();
  const size_t size = WriteRtpHeader(scratch, header);
  if (size == 0) return 0;
  scratch[0] |= 0x20;
  static constexpr std::array<uint8_t, kPaddingSize> kPadding = [] {
    std::array<uint8_t, kPaddingSize> padding{};
    padding.back() = kPaddingSize;
    return padding;
  }();
  return Seal({ByteView(scratch).first(size), {}, kPadding}, index, now);
}

void MediaSender::SealRtcp(ByteView compound) {
  const MutableByteView out = context_.out.Reserve(compound.size() + kSrtpMaxRtcpOverhead);
  if (out.empty()) return context_.drops.Count(DropReason::kTransmitOverflow);
  const size_t size = sealer_->SealRtcp(compound, out);
  if (size == 0) return context_.drops.Count(DropReason::kSealFailed);
  context_.out.Commit(cursor_, *ice_.selected(), size);
  ++packets_;
  bytes_ += size;
}

void MediaSender::OnEstimate(Timestamp now) {
  SendSideEstimator& estimator = control_->estimator;
  const std::optional<int64_t> estimate = estimator.estimate_bps();
  int64_t rate = 0;
  bool relaxed = true;
  if (estimate) {
    const double factor = estimator.congested() ? kCongestedFactor : kPacingFactor;
    rate = static_cast<int64_t>(factor * static_cast<double>(*estimate));
    if (!estimator.measured()) rate = std::max(rate, kUnmeasuredPacingBps);
    relaxed = !estimator.congested() &&
              static_cast<double>(estimator.sent_bps(now)) < kRelaxedBelow * static_cast<double>(*estimate);
  }
  control_->budget.SetRate(rate, relaxed, now);
}

// True: the packet was queued, or dropped and counted.
bool MediaSender::Hold(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                       std::optional<int64_t> rtx_sequence, Timestamp now) {
  if (!stream.video) return false;
  const bool idle = control_->queue.empty();
  if (idle && control_->budget.Allows(now)) return false;
  QueuedPacket waiting{stream, rewritten, packet.layer, packet.sequence_number, rtx_sequence, 0};
  waiting.size = static_cast<uint16_t>(packet.payload.size() + kTypicalOverhead);
  if (!control_->queue.Push(waiting)) {
    ++control_->queue_drops;
    context_.drops.Count(DropReason::kPacerOverflow);
    return true;
  }
  if (idle) schedule_.NoLaterThan(control_->budget.next());
  return true;
}

size_t MediaSender::SendQueued(const QueuedPacket& waiting, Timestamp now) {
  const PublishedLayer* layer = context_.layers.Find(waiting.layer);
  const SourcePacket* packet = layer == nullptr ? nullptr : layer->Find(waiting.source_sequence);
  if (packet == nullptr) {
    ++control_->expired_drops;
    context_.drops.Count(DropReason::kPacerExpired);
    return 0;
  }
  if (waiting.rtx_sequence)
    return SealRtx(waiting.stream, *packet, waiting.rewritten, *waiting.rtx_sequence, now);
  return SealMedia(waiting.stream, *packet, waiting.rewritten, now);
}

void MediaSender::SendWaiting(Timestamp now) {
  const int64_t run_bytes =
      control_->estimator.estimate_bps().value_or(INT32_MAX) / 8 * PacingBudget::kRun.count() / 1'000'000;
  int64_t bytes = 0;
  for (size_t i = 0; i < kRunPackets && !control_->queue.empty() && control_->budget.Allows(now); ++i) {
    if (i > 0 && bytes >= run_bytes) break;
    bytes += static_cast<int64_t>(SendQueued(*control_->queue.Pop(), now));
  }
}

Timestamp MediaSender::next_deadline() const {
  Timestamp next = kNever;
  if (!control_->queue.empty()) next = control_->budget.next();
  if (control_->probe) next = std::min(next, control_->probe->due());
  return next;
}

}  // namespace nexus
