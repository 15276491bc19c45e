// Estimates how long to delay playout so that nearly all media arrives in time. For each unit (an audio
// packet or a whole video frame) it measures how much later than the fastest one it arrived; the target is a
// high quantile of a histogram in which old values fade. This is the method of libwebrtc's NetEq delay
// manager, here for audio and video.
//
// The fastest unit is that of the last two windows, so that clock drift and route changes are followed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

struct DelayEstimatorConfig {
  double quantile = 0.97;
  double forget = 0.993;  // per unit, in steady state; young histograms forget faster
  Duration min_target = Duration(0);
  Duration max_target = std::chrono::milliseconds(1'000);
  Duration window = std::chrono::seconds(5);  // the fastest unit of the last two windows counts
  // Maximum fall of the target, as a share of the time that passes: a faster fall looks like a stutter.
  double fall_rate = 0.02;
};

class DelayEstimator {
 public:
  explicit DelayEstimator(const DelayEstimatorConfig& config);

  // To be called once for each unit. `media`: its sampling time on any clock that runs like the sender's.
  void OnUnit(Duration media, Timestamp complete);
  // When a unit should be played; nothing before the first.
  std::optional<Timestamp> PlayoutTime(Duration media) const;
  Duration target() const { return target_; }
  // The source was changed or resumes after a pause, so earlier units do not compare with its own.
  void Restart();

 private:
  static constexpr size_t kBuckets = 200;
  static constexpr Duration kBucketWidth = std::chrono::milliseconds(5);

  Duration Base() const;
  void UpdateBase(Duration transit, Timestamp now);
  void UpdateHistogram(Duration delay);
  Duration Quantile() const;

  DelayEstimatorConfig config_;
  std::array<double, kBuckets> histogram_{};
  uint64_t units_ = 0;
  std::optional<Duration> current_min_;
  std::optional<Duration> previous_min_;
  Timestamp window_began_{};
  Timestamp last_update_{};
  Duration target_;
};

}  // namespace nexus
