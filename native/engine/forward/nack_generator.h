// Finds what a publisher's stream has lost and when to ask for it (RFC 4585 §6.2.1): after a little patience
// for reordering, again after each RTT and ever more slowly (the way may be down for a while), a limited
// number of times and until it is too old to be of use, from a limited list.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/time.h"

namespace nexus {

struct NackConfig {
  size_t max_missing = 500;
  uint8_t max_requests = 10;
  Duration reorder_patience = Duration(10'000);  // a hole is asked for when it is this old
  Duration min_retry_interval = Duration(20'000);
  Duration max_retry_interval = Duration(400'000);
  // A viewer who has waited so long has been helped by a keyframe: only a recording can use what comes later.
  Duration max_age = Duration(800'000);
  int64_t max_gap = 1000;                            // a larger jump is a restart, not loss
  Duration late_retry_interval = Duration(100'000);  // beyond max_requests, while there is patience
};

struct NackCounters {
  uint64_t requested = 0;  // sequence numbers put into NACKs, repeats too
  uint64_t recovered = 0;  // came after all
  uint64_t given_up = 0;   // asked for often enough, or pushed out of the list
  uint64_t restarts = 0;
};

class NackGenerator {
 public:
  explicit NackGenerator(const NackConfig& config);

  // Every packet of the stream, restored from RTX too; numbers are unwrapped.
  void OnPacket(int64_t sequence_number, Timestamp now);
  // Fills `out` with what is to be asked for now, ascending; returns how many.
  size_t Collect(Timestamp now, Duration rtt, std::span<uint16_t> out);
  Timestamp next_deadline(Duration rtt) const;
  size_t missing() const { return missing_.size(); }
  // How long the sender took to answer, from what came after one request: a round trip for those who receive
  // nothing, and so never report one (RFC 3550 section 6.4.1).
  std::optional<Duration> response_time() const { return response_time_; }
  // True once after holes were pushed out of the list: more is lost than can be asked for.
  bool TakeOverflow() { return std::exchange(overflow_, false); }
  // Nothing is waited for any more (the track is muted, or a keyframe made the past worthless).
  void Clear() { missing_.clear(); }
  // Somebody can still use what comes so late (a recording): asked for, at long intervals, until it is this
  // old. 0: no longer than `max_requests` allow.
  void set_patience(Duration patience) { patience_ = patience; }
  const NackCounters& counters() const { return counters_; }

 private:
  struct Missing {
    int64_t sequence;
    Timestamp since;
    Timestamp asked;
    uint8_t requests;
  };
  Timestamp DueAt(const Missing& missing, Duration rtt) const;
  bool Exhausted(const Missing& missing, Duration rtt, Timestamp now) const;
  void Restart(int64_t sequence_number);
  void OnFarBehind(int64_t sequence_number);
  void OnFound(const Missing& missing, Timestamp now);

  NackConfig config_;
  Duration patience_{0};
  std::vector<Missing> missing_;  // ascending, capacity reserved
  std::optional<int64_t> highest_;
  std::optional<int64_t> stray_;  // far behind the others, and maybe the first of a new beginning
  std::optional<Duration> response_time_;
  bool overflow_ = false;
  NackCounters counters_;
};

}  // namespace nexus
