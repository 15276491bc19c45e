// Recovers lost audio from a later packet's redundancy (RFC 2198): finds the redundant blocks that the ring
// lacks, and their sequence numbers.
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

// `primary` is already in the ring. RED identifies blocks only by time. Senders include the packets just
// before, so a block's position gives its number, and its time must fit between its neighbours in the ring.
// Nothing is found at the start of a stream, because earlier packets are not wanted. Oldest first; returns
// how many.
size_t FindLostAudio(const PacketRing& ring, const RedPacket& red, const SourcePacket& primary,
                     std::span<LostAudio> lost);

}  // namespace nexus
