// Coalesces keyframe requests to one published layer: however many subscribers wait, the publisher gets at
// most one PLI per interval, repeated while any slot still waits. A slot that only waits for a better layer
// waits longer, because every keyframe is sent to all viewers.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

struct KeyframeRequesterConfig {
  Duration min_interval = Duration(300'000);
};

class KeyframeRequester {
 public:
  explicit KeyframeRequester(const KeyframeRequesterConfig& config = {}) : config_(config) {}

  // For a slot that has nothing to show, or a subscriber's PLI or FIR.
  void Request();
  // For a slot that shows a lower encoding and wants to switch to this one: at the next keyframe that comes
  // anyway, or at one that is requested no sooner than `interval` after the last.
  void RequestForBetter(Duration interval);
  // The first packet of a keyframe arrived. It may be too early for the latest requests; a slot that still
  // waits asks again.
  void OnKeyframe(Timestamp now);
  // True if a PLI is to be sent now; it then counts as sent.
  bool Poll(Timestamp now);
  Timestamp next_deadline() const;
  // No slot waits any more (slots were unbound).
  void Cancel() {
    pending_ = false;
    for_better_.reset();
  }
  bool pending() const { return pending_; }
  // True for requests of either kind.
  bool awaited() const { return pending_ || for_better_; }
  uint64_t sent() const { return sent_; }
  uint64_t requested() const { return requested_; }

 private:
  KeyframeRequesterConfig config_;
  bool pending_ = false;
  std::optional<Duration> for_better_;  // the shortest requested interval
  std::optional<Timestamp> last_sent_;
  std::optional<Timestamp> last_keyframe_;
  uint64_t sent_ = 0;
  uint64_t requested_ = 0;
};

}  // namespace nexus
