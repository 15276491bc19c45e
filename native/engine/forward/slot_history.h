// The packets that one slot sent, stored in 32 bytes each (38 with dependency descriptors): the outgoing
// number, the source packet's number in its layer's ring, and the few rewritten bytes. NACKs are answered
// byte-exactly, also for packets from before a rebind.
#pragma once

#include <vector>

#include "engine/base/prefetch.h"
#include "engine/forward/slot_forwarder.h"

namespace nexus {

struct SlotHistoryConfig {
  size_t capacity = 1024;                           // power of two; audio: 128
  uint8_t max_resends = 5;                          // resends of one packet
  Duration min_resend_interval = Duration(10'000);  // lower bound of "one RTT"
  // The initial capacity. It doubles while entries younger than `keep_ticks` (of the stream's clock) would be
  // overwritten, so that a slot with a low bitrate needs only a few KiB.
  size_t first_capacity = 64;
  int32_t keep_ticks = 63'000;  // 700 ms of video; audio: 33'600
};

enum class ResendOutcome : uint8_t { kResend, kUnknown, kTooSoon, kTooOften };

// Enough to build the packet again; `layer` and `source_sequence` locate it in the ring.
struct SentPacket {
  LayerId layer;
  int64_t source_sequence = 0;
  Rewritten rewritten;
};

class SlotHistory {
 public:
  explicit SlotHistory(const SlotHistoryConfig& config);

  void Prefetch() const {
    PrefetchForWrite(&entries_[static_cast<size_t>(highest_ + 1) & mask_], 4 * kCacheLine);
  }
  void OnSent(LayerId layer, int64_t source_sequence, const Rewritten& rewritten);
  // Handles a NACK for `sequence_number`. kResend counts as a resend at `now`.
  ResendOutcome OnNack(uint16_t sequence_number, Timestamp now, Duration rtt, SentPacket& sent);
  // The packet sent with an unwrapped number, while it is stored.
  std::optional<SentPacket> Find(int64_t sequence_number) const;

 private:
  struct Entry {
    int64_t source_sequence = 0;
    uint32_t layer = 0;
    uint32_t timestamp = 0;
    uint32_t csrc = 0;
    uint16_t sequence = 0;   // low bits of the outgoing number
    uint16_t resent_ms = 0;  // low bits of the engine's time
    uint8_t resends : 5 = 0;
    uint8_t empty : 1 = 0;
    uint8_t used : 1 = 0;
    uint8_t marker : 1 = 0;
    uint8_t patch_size : 4 = 0;
    uint8_t patch_replaces : 4 = 0;
    std::array<uint8_t, 6> patch{};
  };
  static_assert(sizeof(Entry) == 32);

  void Grow();
  bool TooSoon(const Entry& entry, Timestamp now, Duration rtt) const;
  SentPacket Describe(const Entry& entry, int64_t sequence) const;

  SlotHistoryConfig config_;
  size_t mask_;
  std::vector<Entry> entries_;
  // Parallel to the entries; empty until a packet with a dependency descriptor is sent.
  std::vector<DescriptorPatch> descriptors_;
  int64_t highest_ = -1;
};

}  // namespace nexus
