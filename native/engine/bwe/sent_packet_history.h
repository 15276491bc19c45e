// Packets sent with transport-wide sequence numbers, until their feedback arrives: 16 bytes per packet. The
// table grows with the packets in flight up to a bound; beyond it the oldest are forgotten, and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/prefetch.h"
#include "engine/base/time.h"

namespace nexus {

// The probe cluster of a packet; 0: none.
using ProbeClusterId = uint16_t;
inline constexpr ProbeClusterId kNoProbe = 0;

struct SentRecord {
  Timestamp sent;
  uint16_t size = 0;  // on the wire, without UDP and IP
  ProbeClusterId cluster = kNoProbe;
};

// Outcome of the feedback for one number.
enum class FeedbackOutcome : uint8_t {
  kUnknown,    // never sent, or forgotten
  kReceived,   // for the first time
  kRecovered,  // reported as lost before, and arrived late
  kLost,       // for the first time
  kRepeated,   // nothing new
};

class SentPacketHistory {
 public:
  explicit SentPacketHistory(size_t max_packets = 16'384);

  void Prefetch(int64_t sequence) const {
    PrefetchForWrite(&entries_[static_cast<size_t>(sequence) & (entries_.size() - 1)], 2 * kCacheLine);
  }
  // `sequence` is unwrapped and rises by one.
  void OnSent(int64_t sequence, const SentRecord& record);
  FeedbackOutcome OnFeedback(int64_t sequence, bool received, SentRecord& record);

  // Unwraps a number from feedback. Numbers that were not sent yet give nothing.
  std::optional<int64_t> Unwrap(uint16_t sequence) const;
  std::optional<int64_t> newest() const { return newest_; }
  // Bytes that were sent and reported neither as received nor as lost.
  size_t in_flight_bytes() const { return in_flight_bytes_; }
  uint64_t forgotten() const { return forgotten_; }
  size_t capacity() const { return entries_.size(); }

 private:
  enum class State : uint8_t { kFree, kInFlight, kLost, kReceived };
  struct Entry {
    int64_t sent_us : 48 = 0;
    int64_t state : 16 = 0;
    uint16_t size = 0;
    ProbeClusterId cluster = kNoProbe;
    uint32_t sequence = 0;  // low bits, to identify the packet
  };
  static_assert(sizeof(Entry) == 16);

  Entry& At(int64_t sequence) { return entries_[static_cast<size_t>(sequence) & (entries_.size() - 1)]; }
  static State StateOf(const Entry& entry) { return static_cast<State>(entry.state); }
  static void SetState(Entry& entry, State state) { entry.state = static_cast<int16_t>(state); }
  void MakeRoom(int64_t sequence);

  size_t max_packets_;
  std::vector<Entry> entries_;  // power of two
  std::optional<int64_t> newest_;
  size_t in_flight_bytes_ = 0;
  uint64_t forgotten_ = 0;
};

}  // namespace nexus
