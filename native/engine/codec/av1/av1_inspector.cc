#include "engine/codec/av1/av1_inspector.h"

namespace nexus {
namespace {

constexpr uint8_t kObuSequenceHeader = 1;

// leb128() of AV1 §4.10.5, at most eight bytes.
std::optional<uint64_t> ReadLeb128(ByteReader& reader) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    const uint8_t byte = reader.U8();
    if (!reader.ok()) return std::nullopt;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (!(byte & 0x80)) return value;
  }
  return std::nullopt;
}

bool IsSequenceHeader(ByteView obu) { return !obu.empty() && (obu[0] >> 3 & 0x0F) == kObuSequenceHeader; }

}  // namespace

std::optional<Av1Packet> ParseAv1Payload(ByteView payload) {
  // Aggregation header: |Z|Y|W W|N|- - -|     AV1 RTP specification §4.4
  ByteReader reader(payload);
  const uint8_t head = reader.U8();
  if (!reader.ok() || reader.remaining() == 0) return std::nullopt;
  Av1Packet packet;
  packet.continues = head & 0x80;
  packet.to_be_continued = head & 0x40;
  packet.new_sequence = head & 0x08;
  const unsigned elements = head >> 4 & 3;
  // W is the number of elements, of which the last has no length; 0: each element has one.
  for (unsigned i = 0; reader.remaining() > 0; ++i) {
    ByteView obu;
    if (elements != 0 && i + 1 >= elements) {
      obu = reader.Rest();
    } else {
      const auto size = ReadLeb128(reader);
      if (!size || *size > reader.remaining()) return std::nullopt;
      obu = reader.Bytes(static_cast<size_t>(*size));
    }
    const bool continued = i == 0 && packet.continues;
    if (!continued && IsSequenceHeader(obu)) packet.sequence_header = true;
  }
  return packet;
}

Av1Inspector::Result Av1Inspector::Inspect(ByteView payload, uint32_t rtp_timestamp) {
  Result result;
  result.frame_start = last_timestamp_ != rtp_timestamp;
  last_timestamp_ = rtp_timestamp;
  const auto packet = ParseAv1Payload(payload);
  if (!packet || packet->continues) return result;
  result.keyframe_start = packet->new_sequence || packet->sequence_header;
  return result;
}

}  // namespace nexus
