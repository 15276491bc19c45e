#include "engine/bwe/probe_controller.h"

#include <algorithm>
#include <utility>

namespace nexus {
namespace {

constexpr int64_t kFirstFactor = 3;
constexpr int64_t kSecondFactor = 6;
constexpr int64_t kNextFactor = 2;
// A result of at least this share of the requested rate means that the link may carry more.
constexpr double kFurther = 0.7;
constexpr Duration kAnswerTime = std::chrono::milliseconds(1'000);
constexpr int kMinPackets = 5;
constexpr Duration kMinLength{15'000};
// Covers several frames of other senders at the usual frame rates.
constexpr Duration kSustainedLength{150'000};
constexpr Duration kDoubt = std::chrono::seconds(60);
constexpr double kWorthConfirming = 1.1;
constexpr size_t kMaxWaiting = 3;
// How long full queues need to drain before a measurement is meaningful.
constexpr Duration kCalm = std::chrono::milliseconds(500);
// Factor over the demand, because a probe measures a little less than it asks for.
constexpr double kOverDemand = 1.25;
constexpr double kDrop = 0.66;
constexpr double kAfterDrop = 0.85;

}  // namespace

int64_t ProbeController::Ceiling() const {
  if (demand_bps_ == 0) return std::min(config_.enough_bps, config_.max_bps);
  return std::min(static_cast<int64_t>(static_cast<double>(demand_bps_) * kOverDemand), config_.max_bps);
}

void ProbeController::Ask(int64_t bps, Timestamp now, bool sustained) {
  if (waiting_.size() >= kMaxWaiting) return;
  if (++last_id_ == kNoProbe) ++last_id_;
  ++last_id_count_;
  ProbeCluster cluster;
  cluster.id = last_id_;
  cluster.target_bps = std::min(bps, config_.max_bps);
  cluster.min_packets = kMinPackets;
  cluster.sustained = sustained;
  const Duration length = sustained ? kSustainedLength : kMinLength;
  cluster.min_bytes = static_cast<size_t>(cluster.target_bps / 8 * length.count() / 1'000'000);
  waiting_.push_back(cluster);
  asked_bps_ = cluster.target_bps;
  estimate_when_asked_ = estimate_bps_;
  last_asked_ = now;
  answer_until_ = now + kAnswerTime;
}

void ProbeController::Start(Timestamp now) {
  if (started_) return;
  started_ = true;
  estimate_bps_ = config_.start_bps;
  Ask(config_.start_bps * kFirstFactor, now);
  Ask(config_.start_bps * kSecondFactor, now);
  next_ = now + kAnswerTime;
}

void ProbeController::SetDemand(int64_t bps, Timestamp now) {
  const bool more = bps > demand_bps_;
  demand_bps_ = bps;
  if (!started_) return;
  if (more && WantsMore()) interval_ = config_.min_interval;
  if (WantsMore()) next_ = std::min(next_, std::max(now, last_asked_ + interval_));
}

bool ProbeController::WantsMore() const { return demand_bps_ > estimate_bps_; }

void ProbeController::OnResult(const ProbeResult& result, Timestamp now) {
  if (!Believes(result, now)) {
    const bool more =
        static_cast<double>(result.capacity_bps) > kWorthConfirming * static_cast<double>(estimate_bps_);
    if (more && !congested_ && waiting_.empty() && confirming_ != result.cluster) {
      confirming_ = result.cluster;
      Ask(std::min(result.capacity_bps, Ceiling()), now, true);
    }
    return;
  }
  if (static_cast<double>(result.capacity_bps) < kFurther * static_cast<double>(asked_bps_) ||
      result.saturated)
    return;
  if (asked_bps_ >= Ceiling() || congested_) return;
  const int64_t next = std::min(std::max(result.capacity_bps, estimate_bps_) * kNextFactor, Ceiling());
  if (next > asked_bps_ && waiting_.empty()) Ask(next, now);
}

void ProbeController::OnEstimate(int64_t bps, bool congested, bool application_limited, Timestamp now) {
  if (static_cast<double>(bps) < kDrop * static_cast<double>(estimate_bps_)) {
    before_drop_bps_ = estimate_bps_;
    if (std::exchange(raised_by_probe_, false)) doubtful_until_ = now + kDoubt;
    interval_ = config_.min_interval;
  }
  estimate_bps_ = bps;
  congested_ = congested;
  application_limited_ = application_limited;
  if (congested) {
    last_congested_ = now;
    waiting_.clear();
  }
}

void ProbeController::HandleTimeout(Timestamp now) {
  if (!started_ || now < next_) return;
  next_ = now + config_.min_interval / 4;
  if (answer_until_ && now < *answer_until_) return;
  if (answer_until_) {
    const bool gained = static_cast<double>(estimate_bps_) > 1.1 * static_cast<double>(estimate_when_asked_);
    interval_ = gained ? config_.min_interval : std::min(interval_ * 3 / 2, config_.max_interval);
    answer_until_.reset();
  }
  if (now - last_congested_ < kCalm) return;
  if (WantsMore() && now - last_asked_ >= interval_) {
    int64_t bps = estimate_bps_ * kNextFactor;
    if (before_drop_bps_ > 0) {
      bps = std::max(bps, static_cast<int64_t>(kAfterDrop * static_cast<double>(before_drop_bps_)));
      before_drop_bps_ = 0;
    }
    return Ask(std::min(bps, Ceiling()), now);
  }
  // Little is sent, so the estimate of the link may be out of date.
  if (application_limited_ && estimate_bps_ < Ceiling() && now - last_asked_ >= config_.limited_interval) {
    return Ask(std::min(estimate_bps_ * kNextFactor, Ceiling()), now);
  }
}

std::optional<ProbeCluster> ProbeController::Take(Timestamp now) {
  if (waiting_.empty()) return std::nullopt;
  const ProbeCluster cluster = waiting_.front();
  waiting_.pop_front();
  answer_until_ = now + kAnswerTime;
  return cluster;
}

}  // namespace nexus
