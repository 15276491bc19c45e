// Media to the peer. The encryption is the copy: header and patch from the stack, payload from the
// publisher's ring, sealed into the batch.
#include <array>

#include "engine/room/room.h"
#include "engine/room/transport.h"

namespace nexus {

size_t Transport::Seal(const OutgoingPacket& packet, uint64_t index) {
  if (packet.header.empty()) return context_.drops.Count(DropReason::kTooLarge), 0;
  const MutableByteView out = context_.out.Reserve(packet.size() + kSrtpMaxRtpOverhead);
  if (out.empty()) return context_.drops.Count(DropReason::kTransmitOverflow), 0;
  const size_t size = sealer_->SealRtp(packet.header, packet.prefix, packet.rest, index, out);
  if (size == 0) return context_.drops.Count(DropReason::kSealFailed), 0;
  context_.out.Commit(cursor_, *ice_.selected(), size);
  // Only what leaves takes a number: a number that never leaves would look like loss to the estimator.
  if (extensions_.has(RtpExtension::kTransportSequenceNumber)) ++next_transport_sequence_;
  ++packets_out_;
  bytes_out_ += size;
  return size;
}

size_t Transport::SendMedia(const OutgoingStream& stream, const SourcePacket& packet,
                            const Rewritten& rewritten, Timestamp now, ByteView red_prefix) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), next_transport_sequence_};
  return Seal(red_prefix.empty() ? AssembleMedia(scratch, stream, transmission, packet, rewritten)
                                 : AssembleRed(scratch, stream, transmission, packet, rewritten, red_prefix),
              static_cast<uint64_t>(rewritten.sequence_number));
}

size_t Transport::SendRtx(const OutgoingStream& stream, const SourcePacket& packet,
                          const Rewritten& rewritten, int64_t rtx_sequence, Timestamp now) {
  std::array<uint8_t, kAssemblySize> scratch;
  const Transmission transmission{AbsSendTimeAt(now), next_transport_sequence_};
  return Seal(AssembleRtx(scratch, stream, transmission, packet, rewritten, rtx_sequence),
              static_cast<uint64_t>(rtx_sequence));
}

}  // namespace nexus
