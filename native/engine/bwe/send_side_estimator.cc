#include "engine/bwe/send_side_estimator.h"

#include <algorithm>

namespace nexus {
namespace {

// Feedback arrives about every 100 ms while packets flow. A longer silence means that the path or the way
// back is broken: the rate is lowered until feedback arrives again.
constexpr Duration kSilence = std::chrono::milliseconds(1'500);
constexpr Duration kSilenceStep = std::chrono::milliseconds(500);
constexpr double kSilenceFactor = 0.8;
// How long to wait for the first feedback of a peer that has negotiated it.
constexpr Duration kNoFeedbackEver = std::chrono::seconds(3);
// After a pause of this length old spacings are meaningless.
constexpr Duration kStale = std::chrono::seconds(2);
// Sending less than this share of the estimate says little about the path.
constexpr double kLimitedBelow = 0.65;
constexpr double kLimitedUntil = 0.80;
// How long a probe affects the trend.
constexpr Duration kTrendOfProbe = std::chrono::milliseconds(400);
constexpr Duration kNoQueue = std::chrono::milliseconds(30);
constexpr Duration kStandingQueue = std::chrono::milliseconds(80);
// Competing traffic causes short queues; longer ones are drained by sending less.
constexpr Duration kDrainAbove = std::chrono::milliseconds(200);
// The remaining delay down to which the queue after a fall of the link is drained: that queue is all our own.
constexpr Duration kDrained = std::chrono::milliseconds(40);
constexpr Duration kLongestDrain = std::chrono::seconds(3);
constexpr Duration kFullDrain = std::chrono::milliseconds(600);
constexpr double kLeastDrain = 0.5;

AimdConfig AimdFrom(const BweConfig& config) { return {config.start_bps, config.min_bps, config.max_bps}; }
ProbeConfig ProbesFrom(const BweConfig& config) {
  ProbeConfig probes;
  probes.start_bps = config.start_bps;
  probes.max_bps = config.max_bps;
  return probes;
}

}  // namespace

SendSideEstimator::SendSideEstimator(const BweConfig& config, bool transport_feedback,
                                     uint16_t first_sequence)
    : config_(config),
      transport_feedback_(transport_feedback),
      feedback_(first_sequence),
      aimd_(AimdFrom(config)),
      probes_(ProbesFrom(config)) {
  if (transport_feedback_) estimate_bps_ = config.start_bps;
}

void SendSideEstimator::Start(Timestamp now) {
  if (started_) return;
  started_ = now;
  if (!transport_feedback_) return;
  probes_.Start(now);
  next_silence_check_ = now + kSilenceStep;
}

void SendSideEstimator::OnSent(size_t bytes, ProbeClusterId cluster, Timestamp now) {
  sent_.Add(bytes, now);
  last_sent_ = now;
  if (transport_feedback_)
    feedback_.OnSent({now, static_cast<uint16_t>(std::min<size_t>(bytes, 65'535)), cluster});
}

void SendSideEstimator::OnFeedback(const TwccFeedbackView& view, Timestamp now) {
  if (!transport_feedback_) return;
  const FeedbackResult& result = feedback_.OnFeedback(view, now);
  if (result.packets.empty()) return;
  ++feedbacks_;
  if (last_feedback_ && now - *last_feedback_ > kStale) {
    inter_arrival_.Reset();
    trendline_ = {};
    queue_.Reset();
    drop_.Reset();
    draining_since_.reset();
  }
  last_feedback_ = now;
  measured_ = true;
  if (silence_limit_bps_) {
    aimd_.Limit(*silence_limit_bps_, now);
    silence_limit_bps_.reset();
  }
  UseDelay(result, now);
  UseLoss(result, now);
  Conclude(now);
}

void SendSideEstimator::NoteArrivals(const FeedbackResult& result, Timestamp now) {
  by_arrival_.clear();
  std::optional<Duration> least;
  for (const PacketResult& packet : result.packets) {
    if (!packet.arrived) continue;
    by_arrival_.push_back(packet);
    const Duration one_way = *packet.arrived - packet.sent;
    if (!packet.recovered) least = std::min(least.value_or(one_way), one_way);
  }
  const auto earlier = [](const PacketResult& a, const PacketResult& b) { return *a.arrived < *b.arrived; };
  // Packets nearly always arrive in order; a stable sort would allocate just to find that out.
  if (!std::is_sorted(by_arrival_.begin(), by_arrival_.end(), earlier))
    std::stable_sort(by_arrival_.begin(), by_arrival_.end(), earlier);
  if (!least) return;
  queue_.OnDelay(*least, now);
  newest_delay_ = queue_.Above(*by_arrival_.back().arrived - by_arrival_.back().sent);
}

// The steady estimate is slow. In trouble (a standing queue, heavy loss) the rate of the last quarter of a
// second is better; otherwise it is better if it is higher, because more is sent than before and arrives.
std::optional<int64_t> SendSideEstimator::Acknowledged(const FeedbackResult& result) {
  const std::optional<int64_t> steady = acknowledged_.bitrate_bps();
  if (!steady || by_arrival_.empty()) return steady;
  const int64_t recent = arrived_.bitrate_bps(*by_arrival_.back().arrived);
  const bool heavy_loss = result.lost * 5 > result.packets.size();
  return queue_.delay() < kStandingQueue && !heavy_loss ? std::max(*steady, recent) : recent;
}

void SendSideEstimator::UseDelay(const FeedbackResult& result, Timestamp now) {
  NoteArrivals(result, now);
  bool overused = false;
  for (const PacketResult& packet : by_arrival_) {
    acknowledged_.OnArrival(*packet.arrived, packet.size);
    arrived_.Add(packet.size, *packet.arrived);
    if (packet.recovered) continue;  // its delay is that of its detour
    const auto delta = inter_arrival_.OnPacket(packet.sent, *packet.arrived);
    if (delta) trendline_.OnGroup(*delta, *packet.arrived);
    overused = overused || trendline_.usage() == BandwidthUsage::kOverusing;
  }
  usage_ = overused ? BandwidthUsage::kOverusing : trendline_.usage();
  // Varying frame sizes and probes both look like a trend. A sender far below its estimate that finds no
  // queue does not cause one.
  const bool behind_probe = last_probe_ && now - *last_probe_ < kTrendOfProbe;
  if (usage_ == BandwidthUsage::kOverusing && queue_.delay() < kNoQueue &&
      (behind_probe || FarBelow(aimd_.rate_bps())))
    usage_ = BandwidthUsage::kUnderusing;
  // A standing queue is no reason to send more.
  if (usage_ == BandwidthUsage::kNormal && queue_.delay() > kStandingQueue)
    usage_ = BandwidthUsage::kUnderusing;
  const std::optional<ProbeResult> probe = BestProbe(result);
  if (probe) last_probe_ = now;
  const std::optional<int64_t> fallen_to = drop_.OnFeedback(by_arrival_, queue_);
  if (fallen_to) {
    usage_ = BandwidthUsage::kOverusing;
    draining_since_ = now;
    aimd_.OnDrop(*fallen_to, now);
    probes_.OnLinkFell();
  } else if (probe && (usage_ != BandwidthUsage::kOverusing || queue_.delay() < kNoQueue)) {
    // A queue that the probe itself has caused does not count.
    UseProbe(*probe, now);
  } else {
    aimd_.Update(usage_, Acknowledged(result), now);
  }
  if (probe) probes_.OnResult(*probe, now);
}

// A probe raises the estimate. It lowers it only while that is the initial guess: a full link shows in the
// delays, and a probe that competes with other traffic measures too little.
void SendSideEstimator::UseProbe(const ProbeResult& probe, Timestamp now) {
  const bool guess = aimd_.rate_bps() == config_.start_bps;
  if (!probes_.Believes(probe, now)) return;
  if (probe.capacity_bps > aimd_.rate_bps() || guess) {
    aimd_.OnProbe(probe.capacity_bps, now);
    probes_.OnRaised();
  }
  loss_.OnCapacity(probe.capacity_bps);
}

bool SendSideEstimator::FarBelow(int64_t bps) const {
  return static_cast<double>(acknowledged_bps()) < kLimitedBelow * static_cast<double>(bps);
}

// While a queue stands, less is sent than the link carries, so that the queue drains.
double SendSideEstimator::DrainFactor() const {
  const Duration waiting = draining() ? newest_delay_ - kDrained : queue_.delay() - kDrainAbove;
  const double over = static_cast<double>(waiting.count());
  return std::clamp(1 - over / static_cast<double>(kFullDrain.count()), kLeastDrain, 1.0);
}

std::optional<ProbeResult> SendSideEstimator::BestProbe(const FeedbackResult& result) {
  std::optional<ProbeResult> latest;
  for (const PacketResult& packet : result.packets) {
    if (packet.cluster == kNoProbe) continue;
    if (const auto measured = probe_bitrate_.OnPacket(packet)) latest = measured;
  }
  return latest;
}

void SendSideEstimator::UseLoss(const FeedbackResult& result, Timestamp now) {
  size_t bytes = 0;
  for (const PacketResult& packet : result.packets) bytes += packet.recovered ? 0 : packet.size;
  loss_.OnRecovered(result.recovered);
  loss_.Update(result.packets.size() - result.recovered, result.lost, bytes, acknowledged_.bitrate_bps(),
               aimd_.rate_bps(), now);
}

void SendSideEstimator::OnRemb(int64_t bps, Timestamp now) {
  reports_.OnRemb(bps);
  Conclude(now);
}

void SendSideEstimator::OnReport(uint8_t fraction_lost, Timestamp now) {
  reports_.OnReport(fraction_lost, sent_.bitrate_bps(now), now);
  Conclude(now);
}

void SendSideEstimator::OnRtt(Duration rtt) {
  rtt_ = rtt;
  aimd_.set_rtt(rtt);
}

double SendSideEstimator::loss() const { return measured_ ? loss_.loss() : reports_.loss(); }

void SendSideEstimator::Conclude(Timestamp now) {
  if (!measured_) {
    // Without transport-wide feedback only the peer's reports count; without reports there is no limit.
    if (!transport_feedback_ || reports_.limit_bps()) estimate_bps_ = reports_.limit_bps();
    return;
  }
  int64_t estimate = aimd_.rate_bps();
  if (loss_.limit_bps()) estimate = std::min(estimate, *loss_.limit_bps());
  if (silence_limit_bps_) estimate = std::min(estimate, *silence_limit_bps_);
  estimate_bps_ =
      std::max(static_cast<int64_t>(static_cast<double>(estimate) * DrainFactor()), config_.min_bps);
  const auto sent = static_cast<double>(sent_.bitrate_bps(now));
  const double share = sent / static_cast<double>(*estimate_bps_);
  if (application_limited_ && share > kLimitedUntil) {
    application_limited_ = false;
    acknowledged_.OnApplicationLimitedEnded();
  } else if (share < kLimitedBelow) {
    application_limited_ = true;
  }
  if (draining_since_ && (newest_delay_ < kDrained || now - *draining_since_ > kLongestDrain))
    draining_since_.reset();
  congested_ = usage_ == BandwidthUsage::kOverusing || queue_.delay() > kStandingQueue;
  probes_.OnEstimate(estimate, congested_, application_limited_, now);
}

bool SendSideEstimator::Silent(Timestamp now) const {
  return measured_ && last_sent_ && feedback_.history().in_flight_bytes() > 0 &&
         *last_sent_ > *last_feedback_ && now - *last_feedback_ > kSilence + rtt_;
}

void SendSideEstimator::HandleTimeout(Timestamp now) {
  if (now >= next_silence_check_) {
    next_silence_check_ = now + kSilenceStep;
    if (Silent(now)) {
      const auto from = static_cast<double>(silence_limit_bps_.value_or(*estimate_bps_));
      silence_limit_bps_ = std::max(static_cast<int64_t>(from * kSilenceFactor), config_.min_bps);
      Conclude(now);
    } else if (!measured_ && started_ && now - *started_ > kNoFeedbackEver &&
               feedback_.history().in_flight_bytes() > 0) {
      estimate_bps_ = reports_.limit_bps();
    }
  }
  if (measured_ && silence_limit_bps_) return;  // a probe would not be answered
  probes_.HandleTimeout(now);
}

Timestamp SendSideEstimator::next_deadline() const {
  if (!started_ || !transport_feedback_) return kNever;
  return std::min(next_silence_check_, probes_.next_deadline());
}

std::optional<ProbeCluster> SendSideEstimator::TakeProbe(Timestamp now) {
  std::optional<ProbeCluster> cluster = probes_.Take(now);
  if (cluster) probe_bitrate_.Begin(*cluster);
  return cluster;
}

}  // namespace nexus
