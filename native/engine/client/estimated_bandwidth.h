// The engine's send-side estimator (engine/bwe) for a client. Its probes are not sent, because a publisher's
// rate grows with that of its encoder.
#pragma once

#include <algorithm>

#include "engine/bwe/send_side_estimator.h"
#include "engine/client/send_bandwidth.h"

namespace nexus {

class EstimatedBandwidth final : public SendBandwidth {
 public:
  // The numbers of a client's packets begin with 1 (SendPath). Only for peers that give transport-wide
  // feedback.
  explicit EstimatedBandwidth(const BweConfig& config) : config_(config), estimator_(config, true, 1) {}

  void Start(Timestamp now) override { estimator_.Start(now); }
  void OnPacketSent(int64_t, size_t size, Timestamp now) override { estimator_.OnSent(size, kNoProbe, now); }
  void OnFeedback(const TwccFeedbackView& feedback, Timestamp now) override {
    estimator_.OnFeedback(feedback, now);
  }
  void OnReport(uint8_t fraction_lost, std::optional<Duration> rtt, Timestamp now) override {
    if (rtt) estimator_.OnRtt(*rtt);
    estimator_.OnReport(fraction_lost, now);
  }
  void OnRemb(uint64_t bitrate_bps, Timestamp now) override {
    estimator_.OnRemb(static_cast<int64_t>(bitrate_bps), now);
  }
  void HandleTimeout(Timestamp now) override {
    estimator_.HandleTimeout(now);
    (void)estimator_.TakeProbe(now);
  }
  Timestamp next_deadline() const override { return estimator_.next_deadline(); }
  uint64_t target_bps() const override {
    return static_cast<uint64_t>(
        std::clamp(estimator_.estimate_bps().value_or(config_.start_bps), config_.min_bps, config_.max_bps));
  }
  const SendSideEstimator& estimator() const { return estimator_; }

 private:
  BweConfig config_;
  SendSideEstimator estimator_;
};

}  // namespace nexus
