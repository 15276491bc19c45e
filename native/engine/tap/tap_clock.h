// The media times of one tap, as a file can use them: they run backwards only with RTP time, and follow the
// source clock by at most 1 ms per second, so that a correction of the clock is not heard or seen. Directly
// after a gap, a mute or a new source, and once when sender reports begin to be used, they take the time of
// the source clock as it is.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "engine/base/time.h"

namespace nexus {

class TapClock {
 public:
  // The next packet may have any time that is not before the last one.
  void Restart() { fresh_ = true; }

  // The time of the next packet in order. `rtp_timestamp` is unwrapped.
  Timestamp OnPacket(int64_t rtp_timestamp, uint32_t clock_rate, Timestamp media_time, bool synchronised) {
    const int64_t source_us = media_time.time_since_epoch().count();
    const bool begins_to_be_synchronised = synchronised && !synchronised_;
    synchronised_ |= synchronised;
    int64_t us = source_us;
    if (!fresh_ && !begins_to_be_synchronised && clock_rate > 0) {
      const int64_t elapsed_us = (rtp_timestamp - rtp_timestamp_) * 1'000'000 / clock_rate;
      const int64_t expected_us = us_ + elapsed_us;
      const int64_t error_us = source_us - expected_us;
      // RTP time that jumps or stands still is a discontinuity of the source, and no drift of its clock.
      if (std::abs(error_us) <= kDiscontinuityUs) {
        const int64_t most_us = std::abs(elapsed_us) / kSlew;
        us = expected_us + std::clamp(error_us, -most_us, most_us);
      }
    }
    // Frames that are sent out of order (B-frames) have falling times; all others keep to their order.
    const bool falls = started_ && !fresh_ && rtp_timestamp < rtp_timestamp_;
    if (started_ && !falls) us = std::max(us, us_);
    started_ = true;
    fresh_ = false;
    us_ = us;
    rtp_timestamp_ = rtp_timestamp;
    return TimestampFromMicros(us);
  }

 private:
  static constexpr int64_t kDiscontinuityUs = 500'000;
  static constexpr int64_t kSlew = 1'000;  // 1 ms per second

  bool started_ = false;
  bool fresh_ = true;
  bool synchronised_ = false;
  int64_t us_ = 0;
  int64_t rtp_timestamp_ = 0;
};

}  // namespace nexus
