// The current queuing delay of the path: the minimum one-way delay of a feedback above the minimum of the
// last seconds. The constant difference of the two clocks cancels out, and their drift is negligible within
// the window. The trendline detects only a queue that grows; this delay also reveals one of constant length.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class QueueDelay {
 public:
  // Takes the minimum delay of one feedback.
  void OnDelay(Duration one_way, Timestamp now) {
    if (now - since_ >= kHalfWindow) {
      previous_ = current_;
      current_ = one_way;
      since_ = now;
    }
    current_ = current_ ? std::min(*current_, one_way) : one_way;
    delay_ = Above(one_way);
  }
  // Queuing time of a packet with this delay.
  Duration Above(Duration one_way) const {
    if (!current_) return Duration(0);
    return one_way - (previous_ ? std::min(*previous_, *current_) : *current_);
  }
  void Reset() { *this = {}; }
  Duration delay() const { return delay_; }

 private:
  static constexpr Duration kHalfWindow = std::chrono::seconds(15);
  std::optional<Duration> previous_;
  std::optional<Duration> current_;
  Timestamp since_{};
  Duration delay_{0};
};

}  // namespace nexus
