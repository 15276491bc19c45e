// When to find out more, and how far: at the start, again while each answer is "more", after a drop, while
// more is wanted than is thought to be there, and now and then while little is sent. A failed probe makes the
// next one wait longer.
#pragma once

#include <deque>
#include <optional>

#include "engine/bwe/probe_bitrate.h"

namespace nexus {

struct ProbeConfig {
  int64_t start_bps = 500'000;
  int64_t max_bps = 100'000'000;
  // Without knowing what is wanted the search ends here.
  int64_t enough_bps = 5'000'000;
  Duration min_interval = std::chrono::milliseconds(1'000);
  Duration max_interval = std::chrono::milliseconds(3'000);
  Duration limited_interval = std::chrono::seconds(5);  // while the application sends little
};

class ProbeController {
 public:
  explicit ProbeController(const ProbeConfig& config) : config_(config), interval_(config.min_interval) {}

  // The path is up.
  void Start(Timestamp now);
  // Everything that could be sent; 0: not known.
  void SetDemand(int64_t bps, Timestamp now);
  void OnResult(const ProbeResult& result, Timestamp now);
  // The estimate was raised to what a probe measured.
  void OnRaised() { raised_by_probe_ = true; }
  // The link itself carries less: no probe was wrong.
  void OnLinkFell() { raised_by_probe_ = false; }
  // What a short probe said of this link was wrong: it counts only once a sustained one has confirmed it.
  bool Believes(const ProbeResult& result, Timestamp now) const {
    return result.sustained || now >= doubtful_until_;
  }
  // After each change: what is believed now, whether queues grow, whether less is sent than could be.
  void OnEstimate(int64_t bps, bool congested, bool application_limited, Timestamp now);
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const { return next_; }

  // What to send next; the pacer asks.
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
  // While answers are outstanding nothing else is asked.
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
