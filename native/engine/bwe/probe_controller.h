// Decides when to probe, and at which rate: at the start, again while a result shows that there may be more,
// after a drop, while the demand exceeds the estimate, and from time to time while little is sent. A failed
// probe lengthens the interval to the next one.
#pragma once

#include <deque>
#include <optional>

#include "engine/bwe/probe_bitrate.h"

namespace nexus {

struct ProbeConfig {
  int64_t start_bps = 500'000;
  int64_t max_bps = 100'000'000;
  // The search stops at this rate while the demand is unknown.
  int64_t enough_bps = 5'000'000;
  Duration min_interval = std::chrono::milliseconds(1'000);
  Duration max_interval = std::chrono::milliseconds(3'000);
  Duration limited_interval = std::chrono::seconds(5);  // while the application sends little
};

class ProbeController {
 public:
  explicit ProbeController(const ProbeConfig& config) : config_(config), interval_(config.min_interval) {}

  // The path is established.
  void Start(Timestamp now);
  // Rate of everything that could be sent; 0: unknown.
  void SetDemand(int64_t bps, Timestamp now);
  void OnResult(const ProbeResult& result, Timestamp now);
  // The estimate was raised to a probe's result.
  void OnRaised() { raised_by_probe_ = true; }
  // The link's rate fell: no probe was wrong.
  void OnLinkFell() { raised_by_probe_ = false; }
  // After a short probe was wrong about this link, only sustained ones count for a while.
  bool Believes(const ProbeResult& result, Timestamp now) const {
    return result.sustained || now >= doubtful_until_;
  }
  // To be called after each change with the estimate, whether queues grow, and whether the sender is limited
  // by the application.
  void OnEstimate(int64_t bps, bool congested, bool application_limited, Timestamp now);
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const { return next_; }

  // The next cluster to send, for the pacer.
  std::optional<ProbeCluster> Take(Timestamp now);
  uint64_t clusters() const { return last_id_count_; }

 private:
  int64_t Ceiling() const;
  void Ask(int64_t bps, Timestamp now, bool sustained = false);
  bool WantsMore() const;

  ProbeConfig config_;
  std::deque<ProbeCluster> waiting_;  // at most three
  ProbeClusterId last_id_ = kNoProbe;
  uint64_t last_id_count_ = 0;
  int64_t demand_bps_ = 0;
  int64_t estimate_bps_ = 0;
  int64_t before_drop_bps_ = 0;
  bool started_ = false;
  bool congested_ = false;
  bool application_limited_ = false;
  // While results are outstanding no other probe is requested.
  std::optional<Timestamp> answer_until_;
  int64_t asked_bps_ = 0;
  int64_t estimate_when_asked_ = 0;
  Duration interval_;
  Timestamp last_asked_{};
  Timestamp last_congested_{};
  bool raised_by_probe_ = false;
  Timestamp doubtful_until_{};
  ProbeClusterId confirming_ = kNoProbe;
  Timestamp next_ = kNever;
};

}  // namespace nexus
