// The estimator alone on emulated paths, with a demand above the estimate. Scenes with layers, rooms and SRTP
// are in room/bandwidth_test.cc.
#include "engine/bwe/send_side_estimator.h"

#include <gtest/gtest.h>

#include "engine/bwe/emulated_path_test.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Seeds : public ::testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override { RecordProperty("seed", std::to_string(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(Estimator, Seeds, ::testing::Values(1, 2, 3, 4, 5));

struct Share {
  double mean_estimate = 0;
  double lowest = 1e18;
  double highest = 0;
  Duration longest_queue{0};
  double loss = 0;
  double utilisation = 0;
};

Share Observe(EmulatedPath& path, Duration duration) {
  Share seen;
  const uint64_t sent = path.sent;
  const uint64_t lost = path.lost;
  const uint64_t bytes = path.link.passed_bytes();
  path.link.TakeLongestDelay();
  int samples = 0;
  for (Duration past{0}; past < duration; past += milliseconds(50), ++samples) {
    path.RunFor(milliseconds(50));
    const auto estimate = static_cast<double>(path.estimate());
    seen.mean_estimate += estimate;
    seen.lowest = std::min(seen.lowest, estimate);
    seen.highest = std::max(seen.highest, estimate);
  }
  seen.mean_estimate /= samples;
  seen.longest_queue = path.link.TakeLongestDelay();
  seen.loss =
      static_cast<double>(path.lost - lost) / static_cast<double>(std::max<uint64_t>(path.sent - sent, 1));
  seen.utilisation =
      static_cast<double>((path.link.passed_bytes() - bytes) * 8) /
      (static_cast<double>(path.link.rate_bps()) * static_cast<double>(duration.count()) / 1e6);
  return seen;
}

TEST_P(Seeds, ConvergesOnABottleneckAndLeavesItsQueueEmpty) {
  for (const int64_t rate : {300'000, 1'000'000, 3'000'000, 8'000'000}) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " rate " + std::to_string(rate));
    EmulatedPath path(
        {.rate_bps = rate, .queue_bytes = static_cast<size_t>(rate / 8 / 3), .seed = GetParam()});
    path.RunFor(seconds(5));
    const Share seen = Observe(path, seconds(30));
    EXPECT_GT(seen.lowest, 0.85 * static_cast<double>(rate));
    EXPECT_LT(seen.highest, 1.15 * static_cast<double>(rate));
    EXPECT_LT(seen.loss, 0.02);
    // A probe has at least five packets: 150 ms on the slowest link.
    EXPECT_LT(seen.longest_queue, milliseconds(rate < 500'000 ? 150 : 100));
    EXPECT_GT(seen.utilisation, 0.85);
  }
}

TEST_P(Seeds, HasAResultWithinHalfASecond) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedPath path({.rate_bps = 20'000'000, .queue_bytes = 200'000, .seed = GetParam()});
  path.RunFor(milliseconds(500));
  EXPECT_GT(path.estimate(), 2'500'000);
}

TEST_P(Seeds, FallsAndRisesWithTheLink) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedPath path({.rate_bps = 3'000'000, .queue_bytes = 60'000, .seed = GetParam()});
  path.RunFor(seconds(10));
  path.link.SetRate(500'000, path.now());
  path.RunFor(seconds(1));
  EXPECT_LT(path.estimate(), 500'000);
  path.RunFor(seconds(2));
  const Share low = Observe(path, seconds(10));
  EXPECT_GT(low.mean_estimate, 400'000);
  EXPECT_LT(low.loss, 0.02);
  EXPECT_LT(low.longest_queue, milliseconds(120));
  path.link.SetRate(3'000'000, path.now());
  path.RunFor(seconds(4));
  EXPECT_GT(path.estimate(), 2'500'000);
}

// Hard problem 7 without the room: only what the estimate allows is sent, and the estimate still recovers.
TEST_P(Seeds, RecoversAfterANearlyDeadLink) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedPath path({.rate_bps = 3'000'000, .queue_bytes = 60'000, .seed = GetParam()});
  path.RunFor(seconds(5));
  path.link.SetRate(100'000, path.now());
  path.RunFor(seconds(10));
  EXPECT_LT(path.estimate(), 130'000);
  path.link.SetRate(3'000'000, path.now());
  path.RunFor(seconds(5));
  EXPECT_GT(path.estimate(), 2'500'000);
}

TEST_P(Seeds, RandomLossDoesNotLowerTheRateOnAFastLink) {
  for (const double loss : {0.02, 0.05, 0.10}) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " loss " + std::to_string(loss));
    EmulatedPath path({.rate_bps = 20'000'000, .queue_bytes = 200'000, .loss = loss, .seed = GetParam()});
    path.demand_bps = 4'000'000;
    path.RunFor(seconds(5));
    EXPECT_GT(Observe(path, seconds(20)).lowest, 3'500'000);
  }
}

// A policer has no queue: only loss shows the limit.
TEST_P(Seeds, LossThatGrowsWithTheRateIsALimit) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedPath path({.rate_bps = 1'000'000, .queue_bytes = 3'500, .seed = GetParam()});
  path.RunFor(seconds(5));
  const Share seen = Observe(path, seconds(30));
  EXPECT_LT(seen.loss, 0.03);
  EXPECT_GT(seen.mean_estimate, 800'000);
  EXPECT_LT(seen.mean_estimate, 1'100'000);
}

TEST_P(Seeds, TwoSendersShareALink) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Bottleneck link;
  link.SetRate(2'000'000, TimestampFromMicros(1'000'000'000));
  link.SetQueue(60'000);
  EmulatedPath first({.seed = GetParam()}, &link);
  EmulatedPath second({.seed = GetParam() + 100}, &link);
  double sums[2] = {0, 0};
  for (int ms = 0; ms < 90'000; ++ms) {
    first.Step();
    second.Step();
    if (ms < 30'000) continue;
    sums[0] += static_cast<double>(first.estimate());
    sums[1] += static_cast<double>(second.estimate());
  }
  const double share = sums[0] / (sums[0] + sums[1]);
  EXPECT_GT(share, 0.35);
  EXPECT_LT(share, 0.65);
}

TEST_P(Seeds, LostFeedbackDoesNotCountAsLoss) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedPath path({.rate_bps = 2'000'000, .queue_bytes = 80'000, .feedback_loss = 0.3, .seed = GetParam()});
  path.RunFor(seconds(10));
  const Share seen = Observe(path, seconds(20));
  EXPECT_GT(seen.mean_estimate, 1'600'000);
  EXPECT_LT(seen.loss, 0.02);
}

TEST(Estimator, SilenceLowersTheEstimateInStepsAndFeedbackRestoresIt) {
  EmulatedPath path({.rate_bps = 5'000'000, .queue_bytes = 200'000});
  path.RunFor(seconds(5));
  const int64_t before = path.estimate();
  path.set_loss(1);
  path.RunFor(seconds(2));
  const int64_t after = path.estimate();
  EXPECT_LT(after, before);
  path.RunFor(seconds(10));
  EXPECT_LT(path.estimate(), after / 4);
  path.set_loss(0);
  path.RunFor(seconds(5));
  EXPECT_GT(path.estimate(), 3'000'000);
}

// Hard problem 6: the number of the first packet makes no difference.
class StartNumber : public ::testing::TestWithParam<int> {};
TEST_P(StartNumber, MakesNoDifference) {
  EmulatedPath reference({.rate_bps = 1'500'000, .first_sequence = 1'000});
  EmulatedPath path({.rate_bps = 1'500'000, .first_sequence = static_cast<uint16_t>(GetParam())});
  for (int i = 0; i < 50; ++i) {
    reference.RunFor(milliseconds(100));
    path.RunFor(milliseconds(100));
    ASSERT_EQ(path.estimate(), reference.estimate()) << "after " << i;
  }
  EXPECT_EQ(path.estimator.adapter().unknown(), 0u);
}
INSTANTIATE_TEST_SUITE_P(AroundTheWrap, StartNumber, ::testing::Range(65'500, 65'536));
INSTANTIATE_TEST_SUITE_P(BehindTheWrap, StartNumber,
                         ::testing::Values(0, 1, 2, 32'767, 32'768, 64'000, 65'000, 65'300));

// Hard problem 6: late and repeated feedback changes nothing.
TEST(Estimator, RepeatedFeedbackIsOnlyCounted) {
  EmulatedPath reference({.rate_bps = 1'500'000});
  EmulatedPath path({.rate_bps = 1'500'000});
  for (int i = 0; i < 100; ++i) {
    reference.RunFor(milliseconds(100));
    path.RunFor(milliseconds(100));
    for (const auto& bytes : path.feedback_seen) path.Deliver(bytes);
    ASSERT_EQ(path.estimate(), reference.estimate());
  }
  EXPECT_GT(path.estimator.adapter().repeated(), 100u);
}

TEST(Estimator, SurvivesAThousandLossesInARow) {
  EmulatedPath path({.rate_bps = 10'000'000, .queue_bytes = 200'000, .first_sequence = 65'000});
  path.RunFor(seconds(5));
  const uint64_t lost = path.lost;
  path.set_loss(1);
  while (path.lost - lost < 1'000) path.Step();
  path.set_loss(0);
  path.RunFor(seconds(5));
  EXPECT_GT(path.estimate(), 5'000'000);
  EXPECT_EQ(path.estimator.adapter().unknown(), 0u);
}

TEST(Estimator, UsesThePeersEstimateWithoutTransportFeedback) {
  SendSideEstimator estimator({}, false, 0);
  Timestamp now = TimestampFromMicros(1'000'000);
  estimator.Start(now);
  EXPECT_FALSE(estimator.estimate_bps());
  estimator.OnRemb(700'000, now);
  EXPECT_EQ(estimator.estimate_bps(), 700'000);
  for (int i = 0; i < 500; ++i) estimator.OnSent(1'000, kNoProbe, now += milliseconds(10));
  estimator.OnReport(77, now);  // 30 %
  ASSERT_TRUE(estimator.estimate_bps());
  EXPECT_NEAR(static_cast<double>(*estimator.estimate_bps()), 700'000, 120'000);
  estimator.OnRemb(2'000'000, now);
  for (int i = 0; i < 60; ++i) estimator.OnReport(0, now += seconds(1));
  EXPECT_EQ(estimator.estimate_bps(), 2'000'000);
}

}  // namespace
}  // namespace nexus::testing
