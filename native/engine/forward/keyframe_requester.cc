#include "engine/forward/keyframe_requester.h"

namespace nexus {

void KeyframeRequester::Request(Timestamp now) {
  (void)now;
  ++requested_;
  pending_ = true;
}

void KeyframeRequester::OnKeyframe(Timestamp now) {
  (void)now;
  pending_ = false;
}

Timestamp KeyframeRequester::next_deadline() const {
  if (!pending_) return kNever;
  return last_sent_ ? *last_sent_ + config_.min_interval : Timestamp::min();
}

bool KeyframeRequester::Poll(Timestamp now) {
  if (!pending_ || now < next_deadline()) return false;
  last_sent_ = now;
  ++sent_;
  return true;
}

}  // namespace nexus
