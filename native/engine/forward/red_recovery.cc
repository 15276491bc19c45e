#include "engine/forward/red_recovery.h"

namespace nexus {
namespace {

// Maximum distance to a neighbour; a more distant one proves nothing.
constexpr int64_t kMaxDistance = 16;

const SourcePacket* NeighbourBefore(const PacketRing& ring, int64_t sequence) {
  for (int64_t i = sequence - 1; i >= sequence - kMaxDistance; --i) {
    if (const SourcePacket* packet = ring.Find(i)) return packet;
  }
  return nullptr;
}

// Returns at the latest `primary` itself.
const SourcePacket& NeighbourBehind(const PacketRing& ring, int64_t sequence, const SourcePacket& primary) {
  for (int64_t i = sequence + 1; i < primary.sequence_number; ++i) {
    if (const SourcePacket* packet = ring.Find(i)) return *packet;
  }
  return primary;
}

}  // namespace

size_t FindLostAudio(const PacketRing& ring, const RedPacket& red, const SourcePacket& primary,
                     std::span<LostAudio> lost) {
  size_t count = 0;
  int64_t last_timestamp = INT64_MIN;
  for (size_t i = 0; i < red.block_count && count < lost.size(); ++i) {
    const RedBlock& block = red.blocks[i];
    if (block.payload_type != red.primary_type || block.payload.empty()) continue;
    const int64_t sequence = primary.sequence_number - static_cast<int64_t>(red.block_count - i);
    const int64_t timestamp = primary.timestamp - block.timestamp_offset;
    if (ring.Find(sequence) != nullptr) continue;
    const SourcePacket* before = NeighbourBefore(ring, sequence);
    if (before == nullptr || before->timestamp >= timestamp || last_timestamp >= timestamp) continue;
    if (NeighbourBehind(ring, sequence, primary).timestamp <= timestamp) continue;
    lost[count++] = {sequence, timestamp, block.payload};
    last_timestamp = timestamp;
  }
  return count;
}

}  // namespace nexus
