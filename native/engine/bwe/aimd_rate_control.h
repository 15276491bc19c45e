// The rate by delay: it grows by 8 % a second while the link's rate is unknown and by about a packet per
// round trip near the known rate, and falls to 0.9 of the acknowledged rate on over-use
// (draft-ietf-rmcat-gcc-02 section 5.5).
#pragma once

#include <optional>

#include "engine/bwe/link_capacity.h"
#include "engine/bwe/trendline_estimator.h"

namespace nexus {

struct AimdConfig {
  int64_t start_bps = 300'000;
  int64_t min_bps = 30'000;
  int64_t max_bps = 100'000'000;
};

class AimdRateControl {
 public:
  explicit AimdRateControl(const AimdConfig& config) : config_(config), rate_bps_(config.start_bps) {}

  void set_rtt(Duration rtt) { rtt_ = rtt; }
  // To be called after each feedback. `acknowledged_bps`: nothing while it is unknown.
  void Update(BandwidthUsage usage, std::optional<int64_t> acknowledged_bps, Timestamp now);
  // A probe has measured this rate.
  void OnProbe(int64_t probe_bps, Timestamp now);
  // The link has just fallen to this rate.
  void OnDrop(int64_t carried_bps, Timestamp now);
  // Other evidence (loss, silence) has lowered the estimate: growth continues from there.
  void Limit(int64_t bps, Timestamp now);

  int64_t rate_bps() const { return rate_bps_; }
  const LinkCapacity& capacity() const { return capacity_; }
  std::optional<Timestamp> last_decrease() const { return last_decrease_; }

 private:
  enum class State : uint8_t { kHold, kIncrease };
  bool MayDecrease(std::optional<int64_t> acknowledged_bps, Timestamp now) const;
  void Decrease(std::optional<int64_t> acknowledged_bps, Timestamp now);
  void Increase(std::optional<int64_t> acknowledged_bps, Timestamp now);
  double LinearIncreasePerSecond() const;
  void Set(double bps, Timestamp now);

  AimdConfig config_;
  LinkCapacity capacity_;
  State state_ = State::kIncrease;
  int64_t rate_bps_;
  Duration rtt_ = std::chrono::milliseconds(200);
  std::optional<Timestamp> last_change_;
  std::optional<Timestamp> last_decrease_;
};

}  // namespace nexus
