// Redundant audio (RFC 2198): a packet that carries earlier packets' payloads in front of its own. Read when
// a publisher sends it, written for subscribers that have it; in between only plain payloads are known.
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
// More headers than anybody writes are an attack on time, not audio.
inline constexpr size_t kMaxRedBlocks = 32;
// Of the redundant blocks only the newest are looked at: what is older comes too late to be heard.
inline constexpr size_t kKeptRedBlocks = 4;

struct RedBlock {
  PayloadType payload_type;
  uint16_t timestamp_offset = 0;  // subtracted from the packet's timestamp
  ByteView payload;
};

struct RedPacket {
  PayloadType primary_type;
  ByteView primary;
  // Oldest first, as they stand in the packet.
  std::span<const RedBlock> redundant() const { return std::span(blocks).first(block_count); }

  std::array<RedBlock, kKeptRedBlocks> blocks;
  size_t block_count = 0;
};

// Nothing when the block headers do not end or the blocks are longer than the packet.
std::optional<RedPacket> ParseRed(ByteView payload);

// Everything in front of the primary payload: all headers, then `redundant`, oldest first. Returns the size,
// 0 when it does not fit or a block is beyond the format's limits.
size_t WriteRedPrefix(MutableByteView out, PayloadType primary_type, std::span<const RedBlock> redundant);

}  // namespace nexus
