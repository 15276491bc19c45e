// What one slot sent, as 32 bytes a packet instead of the packet: outgoing number -> the source's packet in
// its layer's ring and the few bytes that were rewritten. Answers NACKs byte by byte, also for what was sent
// before a rebind.
#pragma once

#include <vector>

#include "engine/forward/slot_forwarder.h"

namespace nexus {

struct SlotHistoryConfig {
  size_t capacity = 1024;                           // power of two; audio: 128
  uint8_t max_resends = 5;                          // of one packet
  Duration min_resend_interval = Duration(10'000);  // lower bound of "one RTT"
};

enum class ResendOutcome : uint8_t { kResend, kUnknown, kTooSoon, kTooOften };

// Enough to build the packet again; `layer` and `source_sequence` find it in the ring.
struct SentPacket {
  LayerId layer;
  int64_t source_sequence = 0;
  Rewritten rewritten;
};

class SlotHistory {
 public:
  explicit SlotHistory(const SlotHistoryConfig& config);

  void OnSent(LayerId layer, int64_t source_sequence, const Rewritten& rewritten);
  // A NACK for `sequence_number`. kResend counts as resent at `now`.
  ResendOutcome OnNack(uint16_t sequence_number, Timestamp now, Duration rtt, SentPacket& sent);

 private:
  struct Entry {
    int64_t source_sequence;
    uint32_t layer;
    uint32_t timestamp;
    uint32_t csrc;
    uint32_t resent_ms;  // low bits of the engine's time
    uint16_t sequence;   // low bits of the outgoing number
    uint8_t resends : 4;
    uint8_t used : 1;
    uint8_t marker : 1;
    uint8_t patch_size : 3;  // 0 .. 6
    uint8_t patch_replaces : 3;
    std::array<uint8_t, 6> patch;  // overlaid below 32 bytes by the layout test
  };

  SlotHistoryConfig config_;
  size_t mask_;
  std::vector<Entry> entries_;
  int64_t highest_ = -1;
};

}  // namespace nexus
