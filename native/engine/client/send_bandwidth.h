// Interface to an estimator of a client's sending rate: its inputs are sent packets and the peer's feedback.
// `ReportedBandwidth` is for peers without transport-wide feedback; `EstimatedBandwidth` is the engine's
// send-side estimator.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"
#include "engine/rtcp/twcc_feedback.h"

namespace nexus {

class SendBandwidth {
 public:
  virtual ~SendBandwidth() = default;
  // The client is connected.
  virtual void Start(Timestamp now) = 0;
  virtual void OnPacketSent(int64_t transport_sequence, size_t size, Timestamp now) = 0;
  virtual void OnFeedback(const TwccFeedbackView& feedback, Timestamp now) = 0;
  virtual void OnReport(uint8_t fraction_lost, std::optional<Duration> rtt, Timestamp now) = 0;
  virtual void OnRemb(uint64_t bitrate_bps, Timestamp now) = 0;
  virtual void HandleTimeout(Timestamp now) = 0;
  virtual Timestamp next_deadline() const = 0;
  virtual uint64_t target_bps() const = 0;
};

struct ReportedBandwidthConfig {
  uint64_t start_bps = 1'000'000;
  uint64_t min_bps = 50'000;
  uint64_t max_bps = 6'000'000;
};

// Loss from receiver reports (draft-ietf-rmcat-gcc-02 section 6) under the ceiling of REMB
// (draft-alvestrand-rmcat- remb-03).
class ReportedBandwidth final : public SendBandwidth {
 public:
  explicit ReportedBandwidth(const ReportedBandwidthConfig& config = {})
      : config_(config), loss_based_bps_(config.start_bps) {}

  void Start(Timestamp) override {}
  void HandleTimeout(Timestamp) override {}
  Timestamp next_deadline() const override { return kNever; }
  void OnPacketSent(int64_t, size_t, Timestamp) override {}
  void OnFeedback(const TwccFeedbackView&, Timestamp) override {}
  void OnReport(uint8_t fraction_lost, std::optional<Duration>, Timestamp now) override {
    // Several streams report at about the same time: one step a second, for the highest loss.
    worst_loss_ = std::max(worst_loss_, fraction_lost);
    if (last_step_ && now - *last_step_ < std::chrono::milliseconds(900)) return;
    last_step_ = now;
    const double loss = worst_loss_ / 256.0;
    worst_loss_ = 0;
    double rate = static_cast<double>(loss_based_bps_);
    if (loss < 0.02) rate *= 1.05;
    if (loss > 0.1) rate *= 1 - 0.5 * loss;
    loss_based_bps_ = std::clamp(static_cast<uint64_t>(rate), config_.min_bps, config_.max_bps);
  }
  void OnRemb(uint64_t bitrate_bps, Timestamp) override { remb_bps_ = bitrate_bps; }
  uint64_t target_bps() const override {
    return std::clamp(std::min(loss_based_bps_, remb_bps_.value_or(config_.max_bps)), config_.min_bps,
                      config_.max_bps);
  }

 private:
  ReportedBandwidthConfig config_;
  uint64_t loss_based_bps_;
  std::optional<uint64_t> remb_bps_;
  uint8_t worst_loss_ = 0;
  std::optional<Timestamp> last_step_;
};

}  // namespace nexus
