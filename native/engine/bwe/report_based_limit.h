// The limit for peers without transport-wide feedback: their own estimate (REMB,
// draft-alvestrand-rmcat-remb-03) and the loss of their receiver reports (draft-ietf-rmcat-gcc-02 section 6).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class ReportBasedLimit {
 public:
  void OnRemb(int64_t bps) { remb_bps_ = bps; }
  // `sent_bps`: the current sending rate, at which a limit starts. However many blocks report loss, the limit
  // changes at most once per interval.
  void OnReport(uint8_t fraction_lost, int64_t sent_bps, Timestamp now) {
    worst_ = std::max(worst_, fraction_lost / 256.0);
    if (last_ && now - *last_ < kInterval) return;
    loss_ = worst_;
    worst_ = 0;
    last_ = now;
    if (loss_ > kHigh) {
      const double base =
          static_cast<double>(std::min(limit_bps_.value_or(sent_bps), std::max<int64_t>(sent_bps, 1)));
      limit_bps_ = static_cast<int64_t>(base * (1 - 0.5 * loss_));
    } else if (loss_ < kLow && limit_bps_) {
      limit_bps_ = static_cast<int64_t>(static_cast<double>(*limit_bps_) * kGrowth) + 1'000;
    }
  }
  std::optional<int64_t> limit_bps() const {
    if (!remb_bps_) return limit_bps_;
    return std::min(*remb_bps_, limit_bps_.value_or(*remb_bps_));
  }
  double loss() const { return loss_; }

 private:
  static constexpr double kLow = 0.02;
  static constexpr double kHigh = 0.10;
  static constexpr double kGrowth = 1.08;
  static constexpr Duration kInterval = std::chrono::milliseconds(900);

  std::optional<int64_t> remb_bps_;
  std::optional<int64_t> limit_bps_;
  std::optional<Timestamp> last_;
  double worst_ = 0;
  double loss_ = 0;
};

}  // namespace nexus
