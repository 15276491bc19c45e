// A link with a rate and a drop-tail queue, in emulated time: computes when a packet has passed or that it is
// dropped.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "engine/base/time.h"

namespace nexus::testing {

class Bottleneck {
 public:
  // 0: no limit. Queued packets continue at the new rate.
  void SetRate(int64_t bps, Timestamp now) {
    const int64_t waiting = QueuedBits(now);
    rate_bps_ = bps;
    free_at_ = now;
    if (rate_bps_ > 0) free_at_ += Duration(waiting * 1'000'000 / rate_bps_);
  }
  void SetQueue(size_t bytes) { queue_bytes_ = bytes; }

  // Returns when the last bit has passed; nothing when the queue is full.
  std::optional<Timestamp> Pass(size_t bytes, Timestamp now) {
    if (rate_bps_ == 0) return now;
    if (QueuedBits(now) / 8 + static_cast<int64_t>(bytes) > static_cast<int64_t>(queue_bytes_)) {
      ++dropped_;
      return std::nullopt;
    }
    free_at_ = std::max(free_at_, now) + Duration(static_cast<int64_t>(bytes) * 8 * 1'000'000 / rate_bps_);
    passed_bytes_ += bytes;
    ++passed_;
    longest_ = std::max(longest_, free_at_ - now);
    return free_at_;
  }

  int64_t rate_bps() const { return rate_bps_; }
  Duration Delay(Timestamp now) const { return std::max(free_at_ - now, Duration(0)); }
  uint64_t dropped() const { return dropped_; }
  uint64_t passed() const { return passed_; }
  uint64_t passed_bytes() const { return passed_bytes_; }
  // The longest wait since the last call.
  Duration TakeLongestDelay() { return std::exchange(longest_, Duration(0)); }

 private:
  int64_t QueuedBits(Timestamp now) const {
    return rate_bps_ == 0 ? 0 : Delay(now).count() * rate_bps_ / 1'000'000;
  }

  int64_t rate_bps_ = 0;
  size_t queue_bytes_ = SIZE_MAX / 2;
  Timestamp free_at_{};
  Duration longest_{0};
  uint64_t dropped_ = 0;
  uint64_t passed_ = 0;
  uint64_t passed_bytes_ = 0;
};

}  // namespace nexus::testing
