// A sender, a bottleneck and a receiver with transport-wide feedback in emulated time, to test the estimator
// alone.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "engine/bwe/send_side_estimator.h"
#include "engine/forward/twcc_recorder.h"
#include "testing/bottleneck.h"

namespace nexus::testing {

struct EmulatedPathOptions {
  int64_t rate_bps = 1'000'000;
  size_t queue_bytes = 40'000;
  Duration delay = std::chrono::milliseconds(25);  // each way
  double loss = 0;
  double feedback_loss = 0;
  uint64_t seed = 1;
  uint16_t first_sequence = 0;
  BweConfig bwe;
};

class EmulatedPath {
 public:
  explicit EmulatedPath(const EmulatedPathOptions& options, Bottleneck* shared = nullptr)
      : options_(options),
        link(shared != nullptr ? *shared : own_),
        random_(options.seed),
        estimator(options.bwe, true, options.first_sequence) {
    if (shared == nullptr) {
      link.SetRate(options.rate_bps, now_);
      link.SetQueue(options.queue_bytes);
    }
    estimator.Start(now_);
  }

  // Rate of the media to send; the estimate limits it.
  int64_t demand_bps = 10'000'000;
  bool stopped = false;

  void RunFor(Duration duration) {
    for (const Timestamp end = now_ + duration; now_ < end;) Step();
  }
  void Step() {
    now_ += kTick;
    while (!arrivals_.empty() && arrivals_.front().at <= now_) {
      recorder_.OnPacket(arrivals_.front().sequence, arrivals_.front().at);
      arrivals_.erase(arrivals_.begin());
    }
    Feed();
    if (now_ >= estimator.next_deadline()) estimator.HandleTimeout(now_);
    if (!stopped) SendSome();
  }
  Timestamp now() const { return now_; }
  int64_t estimate() const { return estimator.estimate_bps().value_or(-1); }
  uint64_t sent = 0;
  uint64_t lost = 0;
  std::vector<std::vector<uint8_t>> feedback_seen;  // for tests that deliver it again

 private:
  static constexpr Duration kTick{1'000};
  static constexpr size_t kPacket = 1'100;
  struct Arrival {
    Timestamp at;
    uint16_t sequence;
  };
  struct Feedback {
    Timestamp at;
    std::vector<uint8_t> bytes;
  };

  bool Chance(double p) { return p > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < p; }

  void Send(size_t size, ProbeClusterId cluster) {
    const uint16_t sequence = estimator.next_sequence();
    estimator.OnSent(size, cluster, now_);
    ++sent;
    const auto through = link.Pass(size, now_);
    if (!through || Chance(options_.loss)) return void(++lost);
    arrivals_.push_back({*through + options_.delay, sequence});
  }

  void SendSome() {
    estimator.SetDemand(demand_bps, now_);
    if (!probe_) {
      probe_ = estimator.TakeProbe(now_);
      probe_credit_ = 0;
      probe_sent_ = 0;
      probe_packets_ = 0;
    }
    const int64_t rate = std::min(demand_bps, estimate());
    credit_ += static_cast<double>(rate) / 8 * kTick.count() / 1e6;
    credit_ = std::min(credit_, 20'000.0);
    if (probe_) {
      probe_credit_ += static_cast<double>(probe_->target_bps) / 8 * kTick.count() / 1e6;
      while (probe_ && probe_credit_ >= 0) {
        Send(kPacket, probe_->id);
        probe_credit_ -= kPacket;
        credit_ -= kPacket;
        probe_sent_ += kPacket;
        if (++probe_packets_ >= probe_->min_packets && probe_sent_ >= probe_->min_bytes) probe_.reset();
      }
      return;
    }
    while (credit_ >= kPacket) {
      Send(kPacket, kNoProbe);
      credit_ -= kPacket;
    }
  }

  void Feed() {
    if (recorder_.due(now_)) {
      std::vector<uint8_t> bytes(1'100);
      for (size_t size = 1; size > 0;) {
        size = recorder_.WriteFeedback(bytes, Ssrc{1}, Ssrc{2}, now_);
        if (size > 0 && !Chance(options_.feedback_loss)) {
          feedback_.push_back(
              {now_ + options_.delay, {bytes.begin(), bytes.begin() + static_cast<long>(size)}});
        }
      }
    }
    while (!feedback_.empty() && feedback_.front().at <= now_) {
      Deliver(feedback_.front().bytes);
      feedback_seen.push_back(std::move(feedback_.front().bytes));
      feedback_.erase(feedback_.begin());
    }
  }

  EmulatedPathOptions options_;
  Bottleneck own_;

 public:
  void Deliver(ByteView feedback) {
    const auto view = TwccFeedbackView::Parse(feedback.subspan(4));
    if (view) estimator.OnFeedback(*view, now_);
  }
  Bottleneck& link;
  void set_loss(double loss) { options_.loss = loss; }

 private:
  std::mt19937_64 random_;
  Timestamp now_ = TimestampFromMicros(1'000'000'000);
  TwccRecorder recorder_;
  std::vector<Arrival> arrivals_;
  std::vector<Feedback> feedback_;
  std::optional<ProbeCluster> probe_;
  double credit_ = 0;
  double probe_credit_ = 0;
  size_t probe_sent_ = 0;
  int probe_packets_ = 0;

 public:
  SendSideEstimator estimator;
};

}  // namespace nexus::testing
