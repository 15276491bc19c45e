// Redundant audio towards one subscriber (RFC 2198): how many earlier packets ride along, and the bytes of
// them. They are taken from the publisher's ring under the numbers and times that the slot gave them, so that
// a receiver recognises what it has.
#pragma once

#include "engine/forward/packet_ring.h"
#include "engine/forward/slot_history.h"
#include "engine/rtp/red.h"

namespace nexus {

struct RedSenderConfig {
  // 0: never redundant. Else so many earlier packets, one more under heavy loss, two at most.
  uint8_t distance = 1;
  uint8_t loss_threshold = 5;         // of 256: what calls for redundancy that the publisher did not send
  uint8_t heavy_loss_threshold = 26;  // of 256
  Duration loss_memory{10'000'000};   // so long a report counts
};

inline constexpr size_t kMaxRedDistance = 2;
// Larger packets stay alone: a datagram must fit any path's MTU with all its headers.
inline constexpr size_t kMaxRedPayload = 1000;
inline constexpr size_t kMaxRedPrefixSize =
    kMaxRedPayload + kMaxRedDistance * kRedBlockHeaderSize + kRedPrimaryHeaderSize;

class RedSender {
 public:
  explicit RedSender(const RedSenderConfig& config = {}) : config_(config) {}

  // From the subscriber's receiver reports (RFC 3550 section 6.4.1).
  void OnFractionLost(uint8_t fraction_lost, Timestamp now);
  // `redundant`: the publisher sends RED itself, which is passed on without asking whether it is needed.
  size_t Distance(bool redundant, Timestamp now) const;

 private:
  RedSenderConfig config_;
  std::optional<Timestamp> lost_at_;
  std::optional<Timestamp> lost_much_at_;
};

// What goes in front of `packet`'s payload, in `scratch`; empty when no earlier packet can ride along: none
// was sent, it was another source's (it would inherit this one's CSRC: section 3), it is too old or too long.
ByteView WriteRedundancy(MutableByteView scratch, const SlotHistory& history, LayerId layer,
                         const PacketRing& ring, const SourcePacket& packet, const Rewritten& rewritten,
                         PayloadType primary_type, size_t distance);

}  // namespace nexus
