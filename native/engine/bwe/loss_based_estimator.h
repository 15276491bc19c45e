// A bandwidth limit from loss: a model that separates inherent loss (radio) from loss caused by sending more
// than the link carries (a full queue, a policer), fitted to the last seconds by maximum likelihood. The idea
// is that of libwebrtc's LossBasedBweV2: random loss alone never lowers the rate; loss that grows with the
// rate does.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"

namespace nexus {

class LossBasedEstimator {
 public:
  // Takes the counts of one feedback; `delay_based_bps` is the upper bound of the limit.
  void Update(size_t packets, size_t lost, size_t bytes, std::optional<int64_t> acknowledged_bps,
              int64_t delay_based_bps, Timestamp now);
  // Packets that were reported as lost had only arrived late.
  void OnRecovered(size_t packets) { recovered_ += packets; }
  // Other evidence (a probe) has shown this rate: a lower limit and its observations are dropped.
  void OnCapacity(int64_t bps);

  // Nothing if loss is no limit.
  std::optional<int64_t> limit_bps() const { return limit_bps_; }
  // Loss of the last seconds; the latest weighs most.
  double loss() const { return loss_; }
  double inherent_loss() const { return inherent_loss_; }

 private:
  static constexpr size_t kObservations = 20;
  struct Observation {
    double packets = 0;
    double lost = 0;
    double sent_kbps = 0;
  };
  void Conclude(std::optional<int64_t> acknowledged_bps, int64_t delay_based_bps);
  double LossAt(double bandwidth_kbps, double inherent, const Observation& observation) const;
  double Objective(double bandwidth_kbps, double inherent) const;
  double Gradient(double bandwidth_kbps, double inherent) const;
  double BestInherent(double bandwidth_kbps) const;
  double AverageLoss() const;
  static double Weight(size_t age);
  const Observation& At(size_t age) const { return observations_[(count_ - 1 - age) % kObservations]; }
  size_t size() const { return count_ < kObservations ? count_ : kObservations; }

  std::array<Observation, kObservations> observations_{};  // a ring buffer
  size_t count_ = 0;
  Observation open_;
  double open_bytes_ = 0;
  size_t recovered_ = 0;
  std::optional<Timestamp> open_since_;
  std::optional<int64_t> limit_bps_;
  double loss_ = 0;
  double inherent_loss_ = 0.01;
};

}  // namespace nexus
