// Detects whether the queue on the path grows: compares the slope of the smoothed queuing delay over the last
// groups with an adaptive threshold (draft-ietf-rmcat-gcc-02 section 5.4 and 5.5, with the line fit by which
// libwebrtc replaced the draft's Kalman filter).
#pragma once

#include <array>
#include <cstdint>

#include "engine/bwe/inter_arrival.h"

namespace nexus {

enum class BandwidthUsage : uint8_t { kNormal, kUnderusing, kOverusing };

class TrendlineEstimator {
 public:
  void OnGroup(const GroupDelta& delta, Timestamp arrived);
  BandwidthUsage usage() const { return usage_; }
  double threshold_ms() const { return threshold_ms_; }
  // Slope of the delay, in ms per ms.
  double trend() const { return trend_; }

 private:
  static constexpr size_t kWindow = 20;
  struct Point {
    double arrival_ms;
    double smoothed_delay_ms;
  };
  double Slope() const;
  void Detect(double departure_ms, double now_ms);
  void AdaptThreshold(double modified_trend, double now_ms);

  std::array<Point, kWindow> points_{};  // a ring buffer
  size_t count_ = 0;                     // groups since the start
  double first_arrival_ms_ = -1;
  double accumulated_delay_ms_ = 0;
  double smoothed_delay_ms_ = 0;
  double trend_ = 0;
  double previous_trend_ = 0;
  double threshold_ms_ = 12.5;
  double last_adapted_ms_ = -1;
  double overusing_ms_ = -1;  // duration of the over-use; below 0: none
  int overusing_groups_ = 0;
  BandwidthUsage usage_ = BandwidthUsage::kNormal;
};

}  // namespace nexus
