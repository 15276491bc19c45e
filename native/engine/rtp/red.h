// Redundant audio (RFC 2198): a packet with earlier packets' payloads before its own. It is read from
// publishers and written for subscribers that support it; the forwarder handles only plain payloads.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"

namespace nexus {

// Section 3: 14 bits of timestamp offset, 10 bits of length.
inline constexpr uint32_t kMaxRedTimestampOffset = (1 << 14) - 1;
inline constexpr size_t kMaxRedBlockSize = (1 << 10) - 1;
inline constexpr size_t kRedBlockHeaderSize = 4;
inline constexpr size_t kRedPrimaryHeaderSize = 1;
// Maximum number of headers; more than any sender writes is an attack on CPU time.
inline constexpr size_t kMaxRedBlocks = 32;
// Number of newest redundant blocks that are used; older ones come too late to be played.
inline constexpr size_t kKeptRedBlocks = 4;

struct RedBlock {
  PayloadType payload_type;
  uint16_t timestamp_offset = 0;  // subtracted from the packet's timestamp
  ByteView payload;
};

struct RedPacket {
  PayloadType primary_type;
  ByteView primary;
  // Oldest first, as in the packet.
  std::span<const RedBlock> redundant() const { return std::span(blocks).first(block_count); }

  std::array<RedBlock, kKeptRedBlocks> blocks;
  size_t block_count = 0;
};

// Nothing if the block headers do not end, or if the blocks are longer than the packet.
std::optional<RedPacket> ParseRed(ByteView payload);

// Writes everything before the primary payload: all headers, then `redundant`, oldest first. Returns the
// size, or 0 if it does not fit or a block exceeds the format's limits.
size_t WriteRedPrefix(MutableByteView out, PayloadType primary_type, std::span<const RedBlock> redundant);

}  // namespace nexus
