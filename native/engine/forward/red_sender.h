// Redundant audio for one subscriber (RFC 2198): the number of earlier packets to repeat, and their bytes.
// They are taken from the publisher's ring and keep the numbers and times that the slot gave them, so that
// the receiver recognises duplicates.
#pragma once

#include "engine/forward/packet_ring.h"
#include "engine/forward/slot_history.h"
#include "engine/rtp/red.h"

namespace nexus {

struct RedSenderConfig {
  // Number of earlier packets to repeat, one more under heavy loss, at most two. 0: no redundancy.
  uint8_t distance = 1;
  uint8_t loss_threshold = 5;         // of 256: loss that adds redundancy which the publisher did not send
  uint8_t heavy_loss_threshold = 26;  // of 256
  Duration loss_memory{10'000'000};   // how long a report counts
};

inline constexpr size_t kMaxRedDistance = 2;
// Maximum payload with redundancy: a datagram with all headers must fit every path's MTU.
inline constexpr size_t kMaxRedPayload = 1000;
inline constexpr size_t kMaxRedPrefixSize =
    kMaxRedPayload + kMaxRedDistance * kRedBlockHeaderSize + kRedPrimaryHeaderSize;

class RedSender {
 public:
  explicit RedSender(const RedSenderConfig& config = {}) : config_(config) {}

  // Fraction lost in the subscriber's receiver reports (RFC 3550 section 6.4.1).
  void OnFractionLost(uint8_t fraction_lost, Timestamp now);
  // `redundant`: the publisher sends RED itself, which is then always passed on.
  size_t Distance(bool redundant, Timestamp now) const;

 private:
  RedSenderConfig config_;
  std::optional<Timestamp> lost_at_;
  std::optional<Timestamp> lost_much_at_;
};

// Writes the redundancy before `packet`'s payload into `scratch`; empty if no earlier packet can be repeated:
// there is none, it is of another source (it would get this one's CSRC: section 3), or it is too old or too
// long.
ByteView WriteRedundancy(MutableByteView scratch, const SlotHistory& history, LayerId layer,
                         const PacketRing& ring, const SourcePacket& packet, const Rewritten& rewritten,
                         PayloadType primary_type, size_t distance);

}  // namespace nexus
