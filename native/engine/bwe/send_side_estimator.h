// Estimates the bandwidth of one subscriber's path from its feedback: delay and loss of the packets sent
// (transport-wide feedback) or, for peers without it, REMB and receiver reports. Sans-I/O: its owner reports
// what is sent and received, and reads the estimate.
#pragma once

#include <optional>

#include "engine/base/prefetch.h"
#include "engine/bwe/acknowledged_bitrate.h"
#include "engine/bwe/aimd_rate_control.h"
#include "engine/bwe/capacity_drop.h"
#include "engine/bwe/loss_based_estimator.h"
#include "engine/bwe/probe_controller.h"
#include "engine/bwe/queue_delay.h"
#include "engine/bwe/rate_window.h"
#include "engine/bwe/report_based_limit.h"
#include "engine/bwe/transport_feedback_adapter.h"

namespace nexus {

struct BweConfig {
  int64_t start_bps = 500'000;
  int64_t min_bps = 50'000;
  int64_t max_bps = 100'000'000;
};

class SendSideEstimator {
 public:
  SendSideEstimator(const BweConfig& config, bool transport_feedback, uint16_t first_sequence);

  // Keys and path are established: probing may begin.
  void Start(Timestamp now);
  // The transport-wide sequence number of the next packet, if negotiated.
  uint16_t next_sequence() const { return feedback_.next_sequence(); }
  void Prefetch() const {
    PrefetchForWrite(&sent_, sizeof sent_);
    PrefetchForWrite(&last_sent_, kCacheLine);
    feedback_.Prefetch();
  }
  void OnSent(size_t bytes, ProbeClusterId cluster, Timestamp now);
  void OnFeedback(const TwccFeedbackView& feedback, Timestamp now);
  void OnRemb(int64_t bps, Timestamp now);
  void OnReport(uint8_t fraction_lost, Timestamp now);
  void OnRtt(Duration rtt);
  void HandleTimeout(Timestamp now);
  Timestamp next_deadline() const;

  // Rate of all wanted layers together; 0: unknown.
  void SetDemand(int64_t bps, Timestamp now) { probes_.SetDemand(bps, now); }
  std::optional<ProbeCluster> TakeProbe(Timestamp now);

  // Nothing if there is no reason to assume a limit (the peer sends no feedback).
  std::optional<int64_t> estimate_bps() const { return estimate_bps_; }
  // Before the first feedback the estimate is a guess, and no reason to hold anything back.
  bool measured() const { return measured_; }
  int64_t acknowledged_bps() const { return acknowledged_.bitrate_bps().value_or(0); }
  double loss() const;
  // Queuing delay of the path, as far as the packets' delays show it.
  Duration queue_delay() const { return queue_.delay(); }
  // A queue grows or stands: sending keeps to the estimate and does not catch up.
  bool congested() const { return congested_; }
  // The link has fallen, and the queue from before has not drained.
  bool draining() const { return draining_since_.has_value(); }
  int64_t sent_bps(Timestamp now) { return sent_.bitrate_bps(now); }
  uint64_t probe_clusters() const { return probes_.clusters(); }
  uint64_t feedbacks() const { return feedbacks_; }
  const TransportFeedbackAdapter& adapter() const { return feedback_; }
  const AimdRateControl& delay_based() const { return aimd_; }
  const LossBasedEstimator& loss_based() const { return loss_; }

 private:
  void UseDelay(const FeedbackResult& result, Timestamp now);
  void UseProbe(const ProbeResult& probe, Timestamp now);
  void NoteArrivals(const FeedbackResult& result, Timestamp now);
  std::optional<int64_t> Acknowledged(const FeedbackResult& result);
  double DrainFactor() const;
  bool FarBelow(int64_t bps) const;
  void UseLoss(const FeedbackResult& result, Timestamp now);
  std::optional<ProbeResult> BestProbe(const FeedbackResult& result);
  void Conclude(Timestamp now);
  bool Silent(Timestamp now) const;

  BweConfig config_;
  bool transport_feedback_;
  TransportFeedbackAdapter feedback_;
  InterArrival inter_arrival_;
  TrendlineEstimator trendline_;
  AcknowledgedBitrate acknowledged_;
  AimdRateControl aimd_;
  LossBasedEstimator loss_;
  ProbeBitrate probe_bitrate_;
  ProbeController probes_;
  ReportBasedLimit reports_;
  QueueDelay queue_;
  CapacityDrop drop_;
  Duration newest_delay_{0};  // of the packet that arrived last
  std::optional<Timestamp> draining_since_;
  std::optional<Timestamp> last_probe_;  // the last one with a result
  RateWindow<50'000> sent_;
  RateWindow<25'000> arrived_;            // on the peer's clock
  std::vector<PacketResult> by_arrival_;  // scratch space
  std::optional<int64_t> estimate_bps_;
  std::optional<int64_t> silence_limit_bps_;
  bool measured_ = false;
  bool application_limited_ = false;
  bool congested_ = false;
  BandwidthUsage usage_ = BandwidthUsage::kNormal;
  Duration rtt_ = std::chrono::milliseconds(200);
  std::optional<Timestamp> started_;
  std::optional<Timestamp> last_feedback_;
  std::optional<Timestamp> last_sent_;
  Timestamp next_silence_check_ = kNever;
  uint64_t feedbacks_ = 0;
};

}  // namespace nexus
