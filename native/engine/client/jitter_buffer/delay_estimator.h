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
  Duration window = std::chrono::seconds(5);  // of which two are looked back at
  // A target comes down no faster than this share of the time that passes: faster looks like a stutter.
  double fall_rate = 0.02;
};

class DelayEstimator {
 public:
  explicit DelayEstimator(const DelayEstimatorConfig& config);

  // One unit, once: `media` is when it was sampled on any line that ticks like the sender's clock.
  void OnUnit(Duration media, Timestamp complete);
  // When a unit should be played; nothing before the first.
  std::optional<Timestamp> PlayoutTime(Duration media) const;
  Duration target() const { return target_; }
  // The source was changed or came back from a pause: its line says nothing about the one before.
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
