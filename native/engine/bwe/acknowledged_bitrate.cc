#include "engine/bwe/acknowledged_bitrate.h"

#include <algorithm>
#include <cmath>

namespace nexus {
namespace {

constexpr Duration kFirstWindow{500'000};
constexpr Duration kWindow{150'000};
// A sample weighs less the further it is from the estimate; a small window above the estimate weighs even
// less.
constexpr double kUncertainty = 10;
constexpr double kDriftPerWindow = 5;
constexpr double kSmallSampleFactor = 2;
constexpr size_t kSmallSampleBytes = 1'000;

}  // namespace

void AcknowledgedBitrate::OnArrival(Timestamp arrived, size_t bytes) {
  const Duration length = estimate_kbps_ < 0 ? kFirstWindow : kWindow;
  if (last_arrival_) {
    const Duration step = arrived - *last_arrival_;
    if (step < Duration(0)) {
      // Reordered: count its bytes, but not its time.
      window_bytes_ += bytes;
      return;
    }
    window_length_ += step;
    if (step > length) {  // a pause does not form a window
      window_bytes_ = 0;
      window_length_ %= length;
    } else if (window_length_ >= length) {
      const double kbps =
          8.0 * static_cast<double>(window_bytes_) * 1000.0 / static_cast<double>(length.count());
      const bool small = window_bytes_ < kSmallSampleBytes;
      window_length_ -= length;
      window_bytes_ = 0;
      Learn(kbps, small);
    }
  }
  last_arrival_ = arrived;
  window_bytes_ += bytes;
}

// One step of a Kalman filter over the rate.
void AcknowledgedBitrate::Learn(double sample_kbps, bool small) {
  if (estimate_kbps_ < 0) {
    estimate_kbps_ = sample_kbps;
    return;
  }
  const double scale =
      small && sample_kbps > estimate_kbps_ ? kUncertainty * kSmallSampleFactor : kUncertainty;
  const double spread = scale * std::abs(estimate_kbps_ - sample_kbps) / std::max(estimate_kbps_, 1.0);
  const double sample_variance = spread * spread;
  const double variance = deviation_ + kDriftPerWindow;
  estimate_kbps_ = (sample_variance * estimate_kbps_ + variance * sample_kbps) / (sample_variance + variance);
  deviation_ = sample_variance * variance / (sample_variance + variance);
}

std::optional<int64_t> AcknowledgedBitrate::bitrate_bps() const {
  if (estimate_kbps_ < 0) return std::nullopt;
  return static_cast<int64_t>(estimate_kbps_ * 1000);
}

}  // namespace nexus
