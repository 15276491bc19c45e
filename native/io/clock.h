// The only place where the engine reads the machine's clocks.
#pragma once

#include <ctime>

#include "engine/base/time.h"

namespace nexus {

inline int64_t ReadClockMicros(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1'000;
}

inline Timestamp MonotonicNow() { return TimestampFromMicros(ReadClockMicros(CLOCK_MONOTONIC)); }

// Difference between the monotonic clock and the wall clock, which kernel receive timestamps use.
class WallClockOffset {
 public:
  void Measure() { offset_us_ = ReadClockMicros(CLOCK_MONOTONIC) - ReadClockMicros(CLOCK_REALTIME); }
  Timestamp ToMonotonic(int64_t wall_us) const { return TimestampFromMicros(wall_us + offset_us_); }

 private:
  int64_t offset_us_ = 0;
};

}  // namespace nexus
