// How long packets wait on the path just now: the least one-way delay of a feedback above the least of the
// last seconds. The clocks of both ends differ by a constant that falls out, and drift too little to matter
// within the window. The trend tells whether a queue grows; only this tells that one stands.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class QueueDelay {
 public:
  // The least of one feedback.
  void OnDelay(Duration one_way, Timestamp now) {
    if (now - since_ >= kHalfWindow) {
      previous_ = current_;
      current_ = one_way;
      since_ = now;
    }
    current_ = current_ ? std::min(*current_, one_way) : one_way;
    delay_ = Above(one_way);
  }
  // How long a packet with this delay has waited.
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
