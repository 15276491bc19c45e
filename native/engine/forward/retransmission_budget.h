// Limits one subscriber's retransmissions: a leaky bucket that is filled by the media sent. Repair is
// possible at any rate, but a peer that repeats its requests (or a path that loses everything) cannot make
// the server send a multiple of the media.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

struct RetransmissionBudgetConfig {
  // Percentage of the media's bytes: a path that loses half can be repaired in one round.
  uint64_t share_percent = 60;
  // Size of a burst that can be repaired at once: an interruption of half a second at 3 Mbit/s.
  uint64_t burst_bytes = 192 * 1024;
  // Minimum fill rate, for slots that have just begun.
  uint64_t floor_bytes_per_second = 16 * 1024;
};

class RetransmissionBudget {
 public:
  explicit RetransmissionBudget(const RetransmissionBudgetConfig& config = {})
      : config_(config), available_(config.burst_bytes) {}

  void OnMedia(size_t bytes) { Fill(bytes * config_.share_percent / 100); }
  // False if the budget is exhausted; refusals are counted.
  bool Take(size_t bytes, Timestamp now);
  uint64_t refused() const { return refused_; }
  uint64_t available() const { return available_; }

 private:
  void Fill(uint64_t bytes) { available_ = std::min(available_ + bytes, config_.burst_bytes); }

  RetransmissionBudgetConfig config_;
  uint64_t available_;
  uint64_t refused_ = 0;
  Timestamp filled_{};
};

}  // namespace nexus
