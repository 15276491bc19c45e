#include "engine/bwe/loss_based_estimator.h"

#include <algorithm>
#include <cmath>

namespace nexus {
namespace {

constexpr Duration kObservationLength{250'000};
constexpr double kMinPackets = 10;
constexpr size_t kMinObservations = 3;
constexpr double kAgeWeight = 0.9;
// Maximum inherent loss: a share, and more at low rates, at which a single packet matters.
constexpr double kInherentShare = 0.10;
constexpr double kInherentBalanceKbps = 75;
constexpr double kMinProbability = 1e-4;
// Bias that prefers the higher bandwidth of two equally good explanations.
constexpr double kPreferWide = 0.001;
// Factors by which the limit changes per observation.
constexpr double kUp = 1.04;
constexpr double kDown = 0.95;
// Below this loss there is no limit.
constexpr double kNegligible = 0.02;

}  // namespace

void LossBasedEstimator::Update(size_t packets, size_t lost, size_t bytes,
                                std::optional<int64_t> acknowledged_bps, int64_t delay_based_bps,
                                Timestamp now) {
  if (!open_since_) open_since_ = now;
  open_.packets += static_cast<double>(packets);
  open_.lost += static_cast<double>(lost);
  open_bytes_ += static_cast<double>(bytes);
  const Duration length = now - *open_since_;
  if (length < kObservationLength || open_.packets < kMinPackets) return;
  const double recovered = std::min(static_cast<double>(recovered_), open_.lost);
  open_.lost -= recovered;
  recovered_ = 0;
  open_.sent_kbps = open_bytes_ * 8000.0 / static_cast<double>(length.count());
  observations_[count_ % kObservations] = open_;
  ++count_;
  open_ = {};
  open_bytes_ = 0;
  open_since_ = now;
  Conclude(acknowledged_bps, delay_based_bps);
}

void LossBasedEstimator::OnCapacity(int64_t bps) {
  if (!limit_bps_ || bps <= *limit_bps_) return;
  limit_bps_.reset();
  count_ = 0;
}

double LossBasedEstimator::Weight(size_t age) {
  static const std::array<double, kObservations> weights = [] {
    std::array<double, kObservations> made{};
    for (size_t i = 0; i < made.size(); ++i) made[i] = std::pow(kAgeWeight, static_cast<double>(i));
    return made;
  }();
  return weights[age];
}

double LossBasedEstimator::AverageLoss() const {
  double lost = 0;
  double packets = 0;
  for (size_t age = 0; age < size(); ++age) {
    lost += Weight(age) * At(age).lost;
    packets += Weight(age) * At(age).packets;
  }
  return packets == 0 ? 0 : lost / packets;
}

// Expected loss: the excess over the bandwidth, and the inherent share of the rest.
double LossBasedEstimator::LossAt(double bandwidth_kbps, double inherent,
                                  const Observation& observation) const {
  double loss = inherent;
  if (observation.sent_kbps > bandwidth_kbps) {
    loss += (1 - inherent) * (observation.sent_kbps - bandwidth_kbps) / observation.sent_kbps;
  }
  return std::clamp(loss, kMinProbability, 1 - kMinProbability);
}

double LossBasedEstimator::Objective(double bandwidth_kbps, double inherent) const {
  const double bias = kPreferWide * std::log1p(bandwidth_kbps);
  double sum = 0;
  for (size_t age = 0; age < size(); ++age) {
    const Observation& seen = At(age);
    const double loss = LossAt(bandwidth_kbps, inherent, seen);
    sum += Weight(age) * (seen.lost * std::log(loss) + (seen.packets - seen.lost) * std::log1p(-loss) +
                          bias * seen.packets);
  }
  return sum;
}

// Derivative of the objective by the inherent loss; it is monotonically decreasing.
double LossBasedEstimator::Gradient(double bandwidth_kbps, double inherent) const {
  double sum = 0;
  for (size_t age = 0; age < size(); ++age) {
    const Observation& seen = At(age);
    const double loss = LossAt(bandwidth_kbps, inherent, seen);
    const double fits = seen.sent_kbps > bandwidth_kbps ? bandwidth_kbps / seen.sent_kbps : 1;
    sum += Weight(age) * fits * (seen.lost / loss - (seen.packets - seen.lost) / (1 - loss));
  }
  return sum;
}

double LossBasedEstimator::BestInherent(double bandwidth_kbps) const {
  double low = kMinProbability;
  double high = std::min(0.5, kInherentShare + kInherentBalanceKbps / std::max(bandwidth_kbps, 1.0));
  for (int i = 0; i < 10; ++i) {
    const double middle = (low + high) / 2;
    (Gradient(bandwidth_kbps, middle) > 0 ? low : high) = middle;
  }
  return (low + high) / 2;
}

void LossBasedEstimator::Conclude(std::optional<int64_t> acknowledged_bps, int64_t delay_based_bps) {
  loss_ = AverageLoss();
  const double ceiling = static_cast<double>(delay_based_bps) / 1000;
  if (loss_ < kNegligible && !limit_bps_) return;
  if (size() < kMinObservations) return;
  const double current = limit_bps_ ? static_cast<double>(*limit_bps_) / 1000 : ceiling;
  std::array<double, 5> candidates = {current, current * kUp, current * kDown, ceiling, current};
  // The sending rate at which this much arrives.
  if (acknowledged_bps)
    candidates[4] = static_cast<double>(*acknowledged_bps) / 1000 / (1 - std::min(loss_, 0.5));
  double best = current;
  double best_value = -INFINITY;
  for (const double candidate : candidates) {
    const double bounded = std::clamp(candidate, 10.0, ceiling);
    const double inherent = BestInherent(bounded);
    const double value = Objective(bounded, inherent);
    if (value <= best_value) continue;
    best_value = value;
    best = bounded;
    inherent_loss_ = inherent;
  }
  if (best >= ceiling) {
    limit_bps_.reset();
  } else {
    limit_bps_ = static_cast<int64_t>(best * 1000);
  }
}

}  // namespace nexus
