// The link's rate during over-use: mean and spread of the acknowledged rates. Near it the estimate grows in
// small steps (draft-ietf-rmcat-gcc-02 section 5.5).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

namespace nexus {

class LinkCapacity {
 public:
  void Reset() { estimate_kbps_.reset(); }
  void OnOveruse(int64_t acknowledged_bps) { Update(static_cast<double>(acknowledged_bps) / 1000, 0.05); }
  // A probe weighs more than a moment of over-use.
  void OnProbe(int64_t probe_bps) { Update(static_cast<double>(probe_bps) / 1000, 0.5); }

  std::optional<int64_t> estimate_bps() const { return ToBps(0); }
  std::optional<int64_t> upper_bps() const { return ToBps(3); }
  std::optional<int64_t> lower_bps() const { return ToBps(-3); }

 private:
  void Update(double sample_kbps, double weight) {
    estimate_kbps_ = estimate_kbps_ ? (1 - weight) * *estimate_kbps_ + weight * sample_kbps : sample_kbps;
    const double norm = std::max(*estimate_kbps_, 1.0);
    const double error = *estimate_kbps_ - sample_kbps;
    // Relative to the mean; bounded to between about 14 and 35 kbit/s at 500 kbit/s.
    variance_ = std::clamp((1 - weight) * variance_ + weight * error * error / norm, 0.4, 2.5);
  }
  std::optional<int64_t> ToBps(double deviations) const {
    if (!estimate_kbps_) return std::nullopt;
    const double kbps = *estimate_kbps_ + deviations * std::sqrt(variance_ * *estimate_kbps_);
    return static_cast<int64_t>(std::max(kbps, 0.0) * 1000);
  }

  std::optional<double> estimate_kbps_;
  double variance_ = 0.4;
};

}  // namespace nexus
