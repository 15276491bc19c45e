// Detects lost packets of a publisher's stream and decides when to request them (RFC 4585 §6.2.1): after a
// short wait for reordering, again after each RTT at growing intervals (the path may be down for a while), up
// to a number of times and an age, from a bounded list.
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
  Duration reorder_patience = Duration(10'000);  // age at which a hole is requested
  Duration min_retry_interval = Duration(20'000);
  Duration max_retry_interval = Duration(400'000);
  // Maximum age of a hole. A viewer is helped by a keyframe by then; only a recording can use a later packet.
  Duration max_age = Duration(800'000);
  int64_t max_gap = 1000;                            // a larger jump is a restart, not loss
  Duration late_retry_interval = Duration(100'000);  // above max_requests, during patience
};

struct NackCounters {
  uint64_t requested = 0;  // sequence numbers put into NACKs, including repeats
  uint64_t recovered = 0;  // arrived after all
  uint64_t given_up = 0;   // requested too often, or removed from the full list
  uint64_t restarts = 0;
};

class NackGenerator {
 public:
  explicit NackGenerator(const NackConfig& config);

  // Takes every packet of the stream, also those restored from RTX, with unwrapped numbers.
  void OnPacket(int64_t sequence_number, Timestamp now);
  // Fills `out` with the numbers to request now, ascending; returns how many.
  size_t Collect(Timestamp now, Duration rtt, std::span<uint16_t> out);
  Timestamp next_deadline(Duration rtt) const;
  size_t missing() const { return missing_.size(); }
  // Response time of the sender, by packets that arrived after one request: a round-trip time for peers that
  // receive nothing, and so never report one (RFC 3550 section 6.4.1).
  std::optional<Duration> response_time() const { return response_time_; }
  // True once after holes were removed from the full list: more is lost than can be requested.
  bool TakeOverflow() { return std::exchange(overflow_, false); }
  // Forgets all holes (the track is muted, or a keyframe made the past worthless).
  void Clear() { missing_.clear(); }
  // Maximum age of holes that a recording can still use: they are requested at long intervals until then. 0:
  // only as often as `max_requests` allows.
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
  std::optional<int64_t> stray_;  // far before the others, possibly the first after a restart
  std::optional<Duration> response_time_;
  bool overflow_ = false;
  NackCounters counters_;
};

}  // namespace nexus
