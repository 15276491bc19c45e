// Keyframe requests towards one published layer, coalesced: however many subscribers wait, the publisher gets
// at most one PLI per interval, and gets it again while somebody still waits. Who waits for a better picture
// than it is shown waits longer: every keyframe goes to all who watch.
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

  // A slot waits with nothing to show, or a subscriber sent a PLI or FIR.
  void Request(Timestamp now);
  // A slot shows a lower encoding and would change to this one: at a keyframe that comes anyway, or at one
  // that is asked for no sooner than `interval` behind the last.
  void RequestForBetter(Duration interval);
  // The first packet of a keyframe came. Requests made less than `rtt` ago may be older than their answer
  // needs: fine, a slot that still waits asks again.
  void OnKeyframe(Timestamp now);
  // True when a PLI is to be sent now; it then counts as sent.
  bool Poll(Timestamp now);
  Timestamp next_deadline() const;
  // Nobody waits any more (slots unbound).
  void Cancel() {
    pending_ = false;
    for_better_.reset();
  }
  bool pending() const { return pending_; }
  // Also if nobody is in a hurry.
  bool awaited() const { return pending_ || for_better_; }
  uint64_t sent() const { return sent_; }
  uint64_t requested() const { return requested_; }

 private:
  KeyframeRequesterConfig config_;
  bool pending_ = false;
  std::optional<Duration> for_better_;  // the interval of the least patient
  std::optional<Timestamp> last_sent_;
  std::optional<Timestamp> last_keyframe_;
  uint64_t sent_ = 0;
  uint64_t requested_ = 0;
};

}  // namespace nexus
