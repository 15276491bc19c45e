// Media to the peer: header and patch from the stack, payload from the publisher's ring, sealed into the
// batch. Without a patch the encryption is the copy.
#include <array>

#include "engine/base/prefetch.h"
#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {
namespace {

constexpr uint8_t kPaddingSize = 224;  // the most that fits the count of one byte, in steps of 32

}  // namespace

void Transport::PrefetchPointers() const {
  PrefetchForRead(&ice_.selected(), kCacheLine);
  PrefetchForWrite(&sealer_, kCacheLine);
  PrefetchForRead(&send_, kCacheLine);
  PrefetchForWrite(&packets_out_, kCacheLine);
}

void Transport::PrefetchForSending() const {
  if (sealer_) sealer_->Prefetch();
  send_->estimator.Prefetch();
  PrefetchForWrite(&send_->budget, sizeof send_->budget + kCacheLine);
}

size_t Transport::Seal(const OutgoingPacket& packet, uint64_t index, Timestamp now) {
  if (packet.header.empty()) return context_.drops.Count(DropReason::kTooLarge), 0;
  const MutableByteView out = context_.out.Reserve(packet.size() + kSrtpMaxRtpOverhead);
  if (out.empty()) return context_.drops.Count(DropReason::kTransmitOverflow), 0;
  const size_t size = sealer_->SealRtp(packet.header, packet.prefix, packet.rest, index, out);
  if (size == 0) return context_.drops.Count(DropReason::kSealFailed), 0;
  context_.out.Commit(cursor_, *ice_.selected(), size);
  // Only what leaves takes a number: a number that never leaves would look like loss to the estimator.
  send_->estimator.OnSent(size, send_->probe ? send_->probe->id() : kNoProbe, now);
  send_->budget.OnSent(size, now);
  if (send_->probe) send_->probe->OnSent(size);
  ++packets_out_;
  bytes_out_ += size;
  return size;
}

size_t Transport::SendMedia(const OutgoingStream& stream, const SourcePacket& packet,
                            const Rewritten& rewritten, Timestamp now, ByteView red_prefix) {
  if (Hold(stream, packet, rewritten, std::nullopt, now)) return packet.payload.size() + kTypicalOverhead;
  return SealMedia(stream, packet, rewritten, now, red_prefix);
}

size_t Transport::SealMedia(const OutgoingStream& stream, const SourcePacket& packet,
                            const Rewritten& rewritten, Timestamp now, ByteView red_prefix) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), send_->estimator.next_sequence()};
  return Seal(red_prefix.empty() ? AssembleMedia(scratch, stream, transmission, packet, rewritten)
                                 : AssembleRed(scratch, stream, transmission, packet, rewritten, red_prefix),
              static_cast<uint64_t>(rewritten.sequence_number), now);
}

size_t Transport::SendRtx(const OutgoingStream& stream, const SourcePacket& packet,
                          const Rewritten& rewritten, int64_t rtx_sequence, Timestamp now) {
  if (Hold(stream, packet, rewritten, rtx_sequence, now)) return packet.payload.size() + kTypicalOverhead;
  return SealRtx(stream, packet, rewritten, rtx_sequence, now);
}

size_t Transport::SealRtx(const OutgoingStream& stream, const SourcePacket& packet,
                          const Rewritten& rewritten, int64_t rtx_sequence, Timestamp now) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), send_->estimator.next_sequence()};
  return Seal(AssembleRtx(scratch, stream, transmission, packet, rewritten, rtx_sequence),
              static_cast<uint64_t>(rtx_sequence), now);
}

// RFC 4588 has no word for it, libwebrtc does it all the same: a retransmission without an original, of
// padding alone (RFC 3550 section 5.1), when nothing was sent yet that could be sent again.
size_t Transport::SealPadding(const OutgoingStream& stream, int64_t rtx_sequence, Timestamp now) {
  OutgoingRtpHeader header;
  header.payload_type = stream.rtx_payload_type;
  header.sequence_number = static_cast<uint16_t>(rtx_sequence);
  header.ssrc = stream.rtx_ssrc;
  header.ids = stream.ids;
  return SealPadding(header, static_cast<uint64_t>(rtx_sequence), now);
}

size_t Transport::SealMediaPadding(const OutgoingStream& stream, const Rewritten& rewritten, Timestamp now) {
  OutgoingRtpHeader header;
  header.payload_type = stream.payload_type;
  header.sequence_number = static_cast<uint16_t>(rewritten.sequence_number);
  header.timestamp = rewritten.timestamp;
  header.ssrc = stream.ssrc;
  header.csrc = rewritten.csrc;
  header.ids = stream.ids;
  return SealPadding(header, static_cast<uint64_t>(rewritten.sequence_number), now);
}

size_t Transport::SealPadding(OutgoingRtpHeader& header, uint64_t index, Timestamp now) {
  std::array<uint8_t, kMaxPlainRtpHeaderSize> scratch;
  header.video = true;
  header.abs_send_time = AbsSendTimeAt(now);
  header.transport_sequence_number = send_->estimator.next_sequence();
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

}  // namespace nexus
