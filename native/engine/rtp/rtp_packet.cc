#include "engine/rtp/rtp_packet.h"

#include <algorithm>

namespace nexus {

std::optional<RtpHeader> ParseRtpHeader(ByteView packet) {
  //  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 ...           RFC 3550 §5.1
  // |V=2|P|X|  CC   |M|     PT      |   sequence   | timestamp | SSRC | CSRC * CC |
  ByteReader reader(packet);
  const uint8_t first = reader.U8();
  const uint8_t second = reader.U8();
  if (first >> 6 != 2) return std::nullopt;
  RtpHeader header;
  header.padding = first & 0x20;
  header.marker = second & 0x80;
  header.payload_type = PayloadType{static_cast<uint8_t>(second & 0x7F)};
  header.sequence_number = reader.U16();
  header.timestamp = reader.U32();
  header.ssrc = Ssrc{reader.U32()};
  header.csrc_count = first & 0x0F;
  reader.Skip(size_t{4} * header.csrc_count);
  if (first & 0x10) {  // §5.3.1
    header.extension_profile = reader.U16();
    header.extensions_size = static_cast<uint16_t>(std::min<size_t>(size_t{4} * reader.U16(), 0xFFFF));
    header.extensions_offset = static_cast<uint16_t>(reader.position());
    reader.Skip(header.extensions_size);
  }
  if (!reader.ok() || reader.position() > 0xFFFF) return std::nullopt;
  header.header_size = static_cast<uint16_t>(reader.position());
  return header;
}

RtpExtensionReader::RtpExtensionReader(ByteView elements, uint16_t profile)
    : reader_(elements),
      two_byte_((profile & 0xFFF0) == kTwoByteExtensionProfile),
      none_(!two_byte_ && profile != kOneByteExtensionProfile) {}

std::optional<RtpExtensionElement> RtpExtensionReader::Next() {
  while (!none_ && reader_.remaining() > 0) {
    const uint8_t head = reader_.U8();
    RtpExtensionElement element;
    size_t size = 0;
    if (two_byte_) {
      if (head == 0) continue;  // RFC 8285 §4.3: a zero byte is padding
      element.id = head;
      size = reader_.U8();
    } else {
      element.id = head >> 4;
      // §4.2: a byte with id 0 is padding, whatever its length field says; id 15 ends the block.
      if (element.id == 0) continue;
      if (element.id == 15) break;
      size = size_t{1} + (head & 0x0F);
    }
    element.value = reader_.Bytes(size);
    if (!reader_.ok()) break;
    return element;
  }
  none_ = true;
  return std::nullopt;
}

uint32_t RtpPacketView::csrc(size_t index) const {
  ByteReader reader(packet_);
  reader.Skip(kRtpFixedHeaderSize + 4 * index);
  return index < header_.csrc_count ? reader.U32() : 0;
}

std::optional<ByteView> RtpPacketView::FindExtension(uint8_t id) const {
  if (id == 0) return std::nullopt;
  RtpExtensionReader reader = extensions();
  while (const auto element = reader.Next()) {
    if (element->id == id) return element->value;
  }
  return std::nullopt;
}

std::optional<RtpPacketView> CompleteRtp(const RtpHeader& header, ByteView packet) {
  if (packet.size() < header.header_size) return std::nullopt;
  size_t padding = 0;
  if (header.padding) {
    const size_t body = packet.size() - header.header_size;
    padding = body == 0 ? 0 : packet.back();
    // RFC 3550 §5.1: the count includes itself, so zero is as wrong as too many.
    if (padding == 0 || padding > body) return std::nullopt;
  }
  return RtpPacketView(header, packet, padding);
}

std::optional<RtpPacketView> ParseRtp(ByteView packet) {
  const auto header = ParseRtpHeader(packet);
  if (!header) return std::nullopt;
  return CompleteRtp(*header, packet);
}

}  // namespace nexus
