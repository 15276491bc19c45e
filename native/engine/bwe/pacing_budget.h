// The amount that may be sent now. Sending creates a debt, which is paid off at the pacing rate; packets
// within the allowance leave at once. A subscriber far from its limit has a large allowance, so that a
// keyframe leaves in the tick in which it arrived and needs no timer; close to the limit the allowance is one
// run of 5 ms.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

class PacingBudget {
 public:
  static constexpr Duration kRun{5'000};
  static constexpr Duration kRelaxed{40'000};

  // 0: no limit.
  void SetRate(int64_t bps, bool relaxed, Timestamp now) {
    const Duration debt = DebtAt(now);
    if (bps > 0 && rate_bps_ > 0) free_at_ = now + debt * rate_bps_ / bps;
    rate_bps_ = bps;
    allowance_ = relaxed ? kRelaxed : kRun;
  }
  void OnSent(size_t bytes, Timestamp now) {
    if (rate_bps_ == 0) return;
    free_at_ = std::max(free_at_, now) + Duration(static_cast<int64_t>(bytes) * 8'000'000 / rate_bps_);
  }
  bool Allows(Timestamp now) const { return rate_bps_ == 0 || free_at_ <= now + allowance_; }
  // When something may be sent again.
  Timestamp next() const { return rate_bps_ == 0 ? Timestamp{} : free_at_ - allowance_; }

 private:
  Duration DebtAt(Timestamp now) const { return std::max(free_at_ - now, Duration(0)); }

  int64_t rate_bps_ = 0;
  Duration allowance_ = kRelaxed;
  Timestamp free_at_{};
};

}  // namespace nexus
