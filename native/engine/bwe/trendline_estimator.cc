#include "engine/bwe/trendline_estimator.h"

#include <algorithm>
#include <cmath>

namespace nexus {
namespace {

constexpr double kSmoothing = 0.9;
constexpr double kTrendGain = 4.0;
constexpr size_t kMaxCountedGroups = 60;
constexpr double kOveruseTimeMs = 10;
// The draft's K_u and K_d (section 5.4), with libwebrtc's values.
constexpr double kThresholdUp = 0.0087;
constexpr double kThresholdDown = 0.039;
// A spike this far above the threshold does not raise it.
constexpr double kMaxAdaptOffsetMs = 15;
constexpr double kMaxAdaptStepMs = 100;
constexpr double kMinThresholdMs = 6;
constexpr double kMaxThresholdMs = 600;

double Millis(Duration duration) { return static_cast<double>(duration.count()) / 1000.0; }

}  // namespace

void TrendlineEstimator::OnGroup(const GroupDelta& delta, Timestamp arrived) {
  const double arrival_ms = Millis(arrived.time_since_epoch());
  if (first_arrival_ms_ < 0) first_arrival_ms_ = arrival_ms;
  accumulated_delay_ms_ += Millis(delta.arrival - delta.departure);
  smoothed_delay_ms_ = kSmoothing * smoothed_delay_ms_ + (1 - kSmoothing) * accumulated_delay_ms_;
  points_[count_ % kWindow] = {arrival_ms - first_arrival_ms_, smoothed_delay_ms_};
  ++count_;
  if (count_ >= kWindow) trend_ = Slope();
  Detect(Millis(delta.departure), arrival_ms);
}

// Slope by least squares over the window; the old slope if all groups arrived at once.
double TrendlineEstimator::Slope() const {
  double mean_x = 0;
  double mean_y = 0;
  for (const Point& point : points_) {
    mean_x += point.arrival_ms / kWindow;
    mean_y += point.smoothed_delay_ms / kWindow;
  }
  double covariance = 0;
  double variance = 0;
  for (const Point& point : points_) {
    covariance += (point.arrival_ms - mean_x) * (point.smoothed_delay_ms - mean_y);
    variance += (point.arrival_ms - mean_x) * (point.arrival_ms - mean_x);
  }
  return variance == 0 ? trend_ : covariance / variance;
}

void TrendlineEstimator::Detect(double departure_ms, double now_ms) {
  const double modified = static_cast<double>(std::min(count_, kMaxCountedGroups)) * trend_ * kTrendGain;
  if (modified > threshold_ms_) {
    // At the first over-use, assume that it has lasted for half of the spacing.
    overusing_ms_ = overusing_ms_ < 0 ? departure_ms / 2 : overusing_ms_ + departure_ms;
    ++overusing_groups_;
    if (overusing_ms_ > kOveruseTimeMs && overusing_groups_ > 1 && trend_ >= previous_trend_) {
      overusing_ms_ = 0;
      overusing_groups_ = 0;
      usage_ = BandwidthUsage::kOverusing;
    }
  } else {
    overusing_ms_ = -1;
    overusing_groups_ = 0;
    usage_ = modified < -threshold_ms_ ? BandwidthUsage::kUnderusing : BandwidthUsage::kNormal;
  }
  previous_trend_ = trend_;
  AdaptThreshold(modified, now_ms);
}

void TrendlineEstimator::AdaptThreshold(double modified_trend, double now_ms) {
  if (last_adapted_ms_ < 0) last_adapted_ms_ = now_ms;
  const double size = std::abs(modified_trend);
  if (size <= threshold_ms_ + kMaxAdaptOffsetMs) {
    const double gain = size < threshold_ms_ ? kThresholdDown : kThresholdUp;
    const double step_ms = std::clamp(now_ms - last_adapted_ms_, 0.0, kMaxAdaptStepMs);
    threshold_ms_ =
        std::clamp(threshold_ms_ + gain * (size - threshold_ms_) * step_ms, kMinThresholdMs, kMaxThresholdMs);
  }
  last_adapted_ms_ = now_ms;
}

}  // namespace nexus
