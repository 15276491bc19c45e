#include "engine/forward/keyframe_requester.h"

#include <algorithm>

namespace nexus {

void KeyframeRequester::Request() {
  ++requested_;
  pending_ = true;
}

void KeyframeRequester::RequestForBetter(Duration interval) {
  ++requested_;
  for_better_ = std::max(config_.min_interval, std::min(for_better_.value_or(interval), interval));
}

void KeyframeRequester::OnKeyframe(Timestamp now) {
  Cancel();
  last_keyframe_ = now;
}

Timestamp KeyframeRequester::next_deadline() const {
  if (pending_) return last_sent_ ? *last_sent_ + config_.min_interval : Timestamp::min();
  if (!for_better_) return kNever;
  const std::optional<Timestamp> last = std::max(last_sent_, last_keyframe_);  // nothing precedes all times
  return last ? *last + *for_better_ : Timestamp::min();
}

bool KeyframeRequester::Poll(Timestamp now) {
  if (now < next_deadline()) return false;
  last_sent_ = now;
  ++sent_;
  return true;
}

}  // namespace nexus
