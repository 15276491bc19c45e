#include "engine/rtp/rtx.h"

namespace nexus {

std::optional<uint16_t> ParseRtxOriginalSequence(const RtpPacketView& rtx) {
  ByteReader reader(rtx.payload());
  const uint16_t sequence = reader.U16();
  if (!reader.ok()) return std::nullopt;
  return sequence;
}

size_t RestoreFromRtx(const RtpPacketView& rtx, Ssrc original_ssrc, PayloadType original_payload_type,
                      MutableByteView out) {
  const auto sequence = ParseRtxOriginalSequence(rtx);
  // A packet with only the number is a probe; its original would be padding only.
  if (!sequence || rtx.payload().size() == kRtxPrefixSize) return 0;
  const RtpHeader& header = rtx.header();
  ByteWriter writer(out);
  writer.U8(static_cast<uint8_t>(rtx.packet()[0] & ~0x20));  // without its padding
  writer.U8(static_cast<uint8_t>((header.marker ? 0x80 : 0) | (original_payload_type.value & 0x7F)));
  writer.U16(*sequence);
  writer.U32(header.timestamp);
  writer.U32(original_ssrc.value);
  writer.Bytes(rtx.packet().subspan(kRtpFixedHeaderSize, header.header_size - kRtpFixedHeaderSize));
  writer.Bytes(rtx.payload().subspan(kRtxPrefixSize));
  return writer.ok() ? writer.size() : 0;
}

size_t WriteRtxPrefix(MutableByteView out, uint16_t original_sequence_number) {
  ByteWriter writer(out);
  writer.U16(original_sequence_number);
  return writer.ok() ? writer.size() : 0;
}

}  // namespace nexus
