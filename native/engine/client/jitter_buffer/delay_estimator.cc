#include "engine/client/jitter_buffer/delay_estimator.h"

#include <algorithm>

namespace nexus {

DelayEstimator::DelayEstimator(const DelayEstimatorConfig& config)
    : config_(config), target_(config.min_target) {}

void DelayEstimator::Restart() {
  current_min_.reset();
  previous_min_.reset();
  // The histogram stays: the path is still the same.
}

Duration DelayEstimator::Base() const {
  return previous_min_ ? std::min(*current_min_, *previous_min_) : *current_min_;
}

void DelayEstimator::UpdateBase(Duration transit, Timestamp now) {
  if (!current_min_) {
    current_min_ = transit;
    window_began_ = now;
    return;
  }
  if (now - window_began_ >= config_.window) {
    previous_min_ = current_min_;
    current_min_ = transit;
    window_began_ = now;
    return;
  }
  current_min_ = std::min(*current_min_, transit);
}

void DelayEstimator::UpdateHistogram(Duration delay) {
  ++units_;
  // 1/2, 2/3, 3/4 ... until the steady factor: the first units weigh more, because there are no others.
  const double forget = std::min(config_.forget, 1.0 - 1.0 / static_cast<double>(units_ + 1));
  for (double& share : histogram_) share *= forget;
  const auto bucket = static_cast<size_t>(std::clamp<int64_t>(delay / kBucketWidth, 0, kBuckets - 1));
  histogram_[bucket] += 1.0 - forget;
}

Duration DelayEstimator::Quantile() const {
  double total = 0;
  for (const double share : histogram_) total += share;
  double sum = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    sum += histogram_[i];
    if (sum >= config_.quantile * total) return kBucketWidth * static_cast<int64_t>(i);
  }
  return kBucketWidth * static_cast<int64_t>(kBuckets);
}

void DelayEstimator::OnUnit(Duration media, Timestamp complete) {
  const Duration transit = complete.time_since_epoch() - media;
  UpdateBase(transit, complete);
  UpdateHistogram(transit - Base());
  const Duration wanted = std::clamp(Quantile() + kBucketWidth, config_.min_target, config_.max_target);
  if (wanted >= target_) {
    target_ = wanted;  // rises at once, because units that are late now are already lost
  } else {
    const auto passed = std::clamp(complete - last_update_, Duration(0), Duration(1'000'000));
    const auto fall = Duration(static_cast<int64_t>(static_cast<double>(passed.count()) * config_.fall_rate));
    target_ = std::max(wanted, target_ - fall);
  }
  last_update_ = complete;
}

std::optional<Timestamp> DelayEstimator::PlayoutTime(Duration media) const {
  if (!current_min_) return std::nullopt;
  return Timestamp(media + Base() + target_);
}

}  // namespace nexus
