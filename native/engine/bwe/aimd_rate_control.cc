#include "engine/bwe/aimd_rate_control.h"

#include <algorithm>
#include <cmath>

namespace nexus {
namespace {

// The draft uses 0.85. A standing queue is drained separately (SendSideEstimator), so less reduction is
// needed here.
constexpr double kBackoff = 0.9;
constexpr double kBystander = 0.65;
constexpr Duration kSecondThoughts = std::chrono::seconds(2);
constexpr double kGrowthPerSecond = 1.08;
constexpr double kMinGrowthBps = 1'000;
// Limits of growth above the acknowledged rate: beyond them the application does not use the estimate.
constexpr double kAheadOfAcknowledged = 1.5;
constexpr double kAheadOfAcknowledgedBps = 10'000;
// Time until a change takes effect at the receiver, in addition to the round trip.
constexpr Duration kResponseTime = std::chrono::milliseconds(100);
constexpr double kFramesPerSecond = 30;
constexpr double kPacketBits = 1'200 * 8;
constexpr double kMinLinearBpsPerSecond = 4'000;

double Seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

}  // namespace

void AimdRateControl::Set(double bps, Timestamp now) {
  rate_bps_ = static_cast<int64_t>(
      std::clamp(bps, static_cast<double>(config_.min_bps), static_cast<double>(config_.max_bps)));
  last_change_ = now;
}

void AimdRateControl::Update(BandwidthUsage usage, std::optional<int64_t> acknowledged_bps, Timestamp now) {
  switch (usage) {
    case BandwidthUsage::kOverusing:
      if (MayDecrease(acknowledged_bps, now)) Decrease(acknowledged_bps, now);
      state_ = State::kHold;
      return;
    case BandwidthUsage::kUnderusing:  // the queues drain
      state_ = State::kHold;
      last_change_ = now;
      return;
    case BandwidthUsage::kNormal:
      break;
  }
  if (state_ == State::kHold) {
    state_ = State::kIncrease;
    last_change_ = now;
    return;
  }
  Increase(acknowledged_bps, now);
}

// A decrease takes effect after a round trip.
bool AimdRateControl::MayDecrease(std::optional<int64_t> acknowledged_bps, Timestamp now) const {
  if (!last_decrease_) return true;
  const Duration wait = std::clamp<Duration>(rtt_ + kResponseTime, kResponseTime, Duration(400'000));
  if (now - *last_decrease_ >= wait) return true;
  return acknowledged_bps && *acknowledged_bps * 2 < rate_bps_ && now - *last_decrease_ >= rtt_;
}

void AimdRateControl::Decrease(std::optional<int64_t> acknowledged_bps, Timestamp now) {
  const bool first = !last_decrease_ || now - *last_decrease_ > kSecondThoughts;
  last_decrease_ = now;
  if (!acknowledged_bps) return Set(static_cast<double>(rate_bps_) / 2, now);
  const auto acknowledged = static_cast<double>(*acknowledged_bps);
  // A sender far below its estimate may not be the one that fills the queue: at first it gives up only the
  // unused part, and more if that does not help.
  const bool bystander = first && acknowledged < kBystander * static_cast<double>(rate_bps_);
  double lowered = bystander ? acknowledged : kBackoff * acknowledged;
  // The acknowledged rate may be above the estimate while a queue drains; then the link's known rate is used.
  if (lowered > static_cast<double>(rate_bps_) && capacity_.estimate_bps()) {
    lowered = kBackoff * static_cast<double>(*capacity_.estimate_bps());
  }
  if (capacity_.lower_bps() && *acknowledged_bps < *capacity_.lower_bps()) capacity_.Reset();
  capacity_.OnOveruse(*acknowledged_bps);
  Set(std::min(lowered, static_cast<double>(rate_bps_)), now);
}

double AimdRateControl::LinearIncreasePerSecond() const {
  const double frame_bits = static_cast<double>(rate_bps_) / kFramesPerSecond;
  const double packet_bits = frame_bits / std::ceil(std::max(frame_bits / kPacketBits, 1.0));
  return std::max(kMinLinearBpsPerSecond, packet_bits / Seconds(rtt_ + kResponseTime));
}

void AimdRateControl::Increase(std::optional<int64_t> acknowledged_bps, Timestamp now) {
  const double seconds = last_change_ ? std::min(Seconds(now - *last_change_), 1.0) : 0;
  last_change_ = now;
  if (acknowledged_bps && capacity_.upper_bps() && *acknowledged_bps > *capacity_.upper_bps())
    capacity_.Reset();
  const auto rate = static_cast<double>(rate_bps_);
  double raised = rate;
  if (capacity_.estimate_bps()) {
    raised += LinearIncreasePerSecond() * seconds;
  } else {
    raised += std::max(rate * (std::pow(kGrowthPerSecond, seconds) - 1), kMinGrowthBps * seconds);
  }
  if (acknowledged_bps) {
    const double limit =
        kAheadOfAcknowledged * static_cast<double>(*acknowledged_bps) + kAheadOfAcknowledgedBps;
    raised = std::min(raised, std::max(limit, rate));
  } else {
    raised = rate;
  }
  Set(raised, now);
}

void AimdRateControl::OnProbe(int64_t probe_bps, Timestamp now) {
  capacity_.OnProbe(probe_bps);
  Set(static_cast<double>(probe_bps), now);
}

void AimdRateControl::OnDrop(int64_t carried_bps, Timestamp now) {
  last_decrease_ = now;
  state_ = State::kHold;
  capacity_.Reset();
  capacity_.OnOveruse(carried_bps);
  Set(std::min(kBackoff * static_cast<double>(carried_bps), static_cast<double>(rate_bps_)), now);
}

void AimdRateControl::Limit(int64_t bps, Timestamp now) {
  if (bps < rate_bps_) Set(static_cast<double>(bps), now);
}

}  // namespace nexus
