// Time in the engine: microseconds on a monotonic clock that the caller owns.
// The core never reads a clock; every entry point takes `now`.
#pragma once

#include <chrono>
#include <cstdint>

namespace nexus {

using Duration = std::chrono::microseconds;

// A clock without `now()`: it only defines the time line, so that code under engine/ cannot read the time.
struct EngineClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<EngineClock, duration>;
  static constexpr bool is_steady = true;
};

using Timestamp = EngineClock::time_point;

// "No deadline": later than any time the engine will see.
inline constexpr Timestamp kNever = Timestamp::max();

inline constexpr Timestamp TimestampFromMicros(int64_t us) { return Timestamp(Duration(us)); }

}  // namespace nexus
