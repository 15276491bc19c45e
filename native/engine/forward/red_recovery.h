// Lost audio that a later packet brings back (RFC 2198): which of its redundant blocks the ring does not
// have, and which number each of them had.
#pragma once

#include <span>

#include "engine/forward/packet_ring.h"
#include "engine/rtp/red.h"

namespace nexus {

struct LostAudio {
  int64_t sequence_number = 0;
  int64_t timestamp = 0;
  ByteView payload;
};

// `primary` is in the ring already. RED names its blocks by time only; senders put the packets in that came
// right before, so a block's place tells its number, and the time of its neighbours in the ring must agree.
// Nothing is found at a stream's start: what was before it was never wanted. Oldest first; returns how many.
size_t FindLostAudio(const PacketRing& ring, const RedPacket& red, const SourcePacket& primary,
                     std::span<LostAudio> lost);

}  // namespace nexus
