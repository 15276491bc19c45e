#include "engine/rtp/red.h"

namespace nexus {
namespace {

struct BlockHeader {
  PayloadType payload_type;
  uint16_t timestamp_offset;
  uint16_t size;
};

}  // namespace

// RFC 2198 section 3:
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |F|   block PT  |  timestamp offset         |   block length    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// The last header is |0| block PT |; the data follow in the order of their headers.
std::optional<RedPacket> ParseRed(ByteView payload) {
  ByteReader reader(payload);
  std::array<BlockHeader, kMaxRedBlocks> headers;
  size_t count = 0;
  RedPacket packet;
  while (true) {
    const uint8_t head = reader.U8();
    if (!reader.ok()) return std::nullopt;
    const PayloadType type{static_cast<uint8_t>(head & 0x7F)};
    if ((head & 0x80) == 0) {
      packet.primary_type = type;
      break;
    }
    if (count == headers.size()) return std::nullopt;
    const uint32_t rest = reader.U24();
    headers[count++] = {type, static_cast<uint16_t>(rest >> 10), static_cast<uint16_t>(rest & 0x3FF)};
  }
  for (size_t i = 0; i < count; ++i) {
    const ByteView block = reader.Bytes(headers[i].size);
    if (!reader.ok()) return std::nullopt;
    if (count - i > kKeptRedBlocks) continue;
    packet.blocks[packet.block_count++] = {headers[i].payload_type, headers[i].timestamp_offset, block};
  }
  packet.primary = reader.Rest();
  return packet;
}

size_t WriteRedPrefix(MutableByteView out, PayloadType primary_type, std::span<const RedBlock> redundant) {
  ByteWriter writer(out);
  for (const RedBlock& block : redundant) {
    if (block.timestamp_offset > kMaxRedTimestampOffset || block.payload.size() > kMaxRedBlockSize) return 0;
    writer.U8(static_cast<uint8_t>(0x80 | block.payload_type.value));
    writer.U24(static_cast<uint32_t>(block.timestamp_offset) << 10 |
               static_cast<uint32_t>(block.payload.size()));
  }
  writer.U8(primary_type.value & 0x7F);
  for (const RedBlock& block : redundant) writer.Bytes(block.payload);
  return writer.ok() ? writer.size() : 0;
}

}  // namespace nexus
