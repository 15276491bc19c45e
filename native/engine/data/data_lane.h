// Queue and rate of SCTP packets to one subscriber. SCTP's congestion control reacts to loss only and fills
// any queue on the path. Packets are therefore sent at once until the estimator detects a queue; from then on
// they keep to the bandwidth that media leaves, at least a quarter of the estimate, and the rate rises step
// by step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/bwe/pacing_budget.h"

namespace nexus {

class DataLane {
 public:
  static constexpr size_t kMaxPackets = 512;

  // After each change of the estimate; `media_bps` of it is allocated to media.
  void OnEstimate(int64_t estimate_bps, int64_t media_bps, bool congested, Timestamp now) {
    const int64_t share = std::max(estimate_bps - media_bps, estimate_bps / kLeastShare);
    if (congested) {
      rate_bps_ = rate_bps_ == 0 ? share : std::min(rate_bps_, share);
    } else if (rate_bps_ > 0) {
      const auto past = static_cast<double>(std::min(now - last_, kLongestStep).count());
      rate_bps_ = static_cast<int64_t>(static_cast<double>(rate_bps_) * (1 + kGrowthPerSecond * past / 1e6));
      rate_bps_ = std::max(rate_bps_, share);
      if (rate_bps_ > kPlenty) rate_bps_ = 0;
    }
    last_ = now;
    budget_.SetRate(rate_bps_, true, now);
  }

  bool MayPass(Timestamp now) const { return packets_.empty() && budget_.Allows(now); }
  void OnSent(size_t bytes, Timestamp now) { budget_.OnSent(bytes, now); }
  // False: the queue is full; SCTP treats it as loss and slows down.
  bool Push(ByteView packet) {
    if (packets_.size() >= kMaxPackets) return false;
    packets_.emplace_back(packet.begin(), packet.end());
    bytes_ += packet.size();
    return true;
  }
  bool due(Timestamp now) const { return !packets_.empty() && budget_.Allows(now); }
  std::vector<uint8_t> Pop() {
    std::vector<uint8_t> packet = std::move(packets_.front());
    packets_.pop_front();
    bytes_ -= packet.size();
    return packet;
  }
  Timestamp next() const { return packets_.empty() ? kNever : budget_.next(); }
  size_t size() const { return packets_.size(); }
  size_t bytes() const { return bytes_; }
  // Zero means no limit.
  int64_t rate_bps() const { return rate_bps_; }

 private:
  static constexpr int64_t kLeastShare = 4;
  static constexpr double kGrowthPerSecond = 0.5;
  static constexpr Duration kLongestStep = std::chrono::seconds(1);
  static constexpr int64_t kPlenty = 50'000'000;

  std::deque<std::vector<uint8_t>> packets_;
  size_t bytes_ = 0;
  PacingBudget budget_;
  int64_t rate_bps_ = 0;
  Timestamp last_{};
};

}  // namespace nexus
