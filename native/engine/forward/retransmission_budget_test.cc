// Retransmissions in a NACK storm are bounded by the media that they repair.
#include "engine/forward/retransmission_budget.h"

#include <gtest/gtest.h>

#include "testing/random.h"

namespace nexus {
namespace {

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1000); }

TEST(RetransmissionBudget, ABurstCanBeRepairedAtOnce) {
  RetransmissionBudget budget;
  uint64_t taken = 0;
  while (budget.Take(1200, At(0))) taken += 1200;
  EXPECT_GT(taken, 190'000u);
  EXPECT_LE(taken, RetransmissionBudgetConfig{}.burst_bytes);
  EXPECT_EQ(budget.refused(), 1u);
}

TEST(RetransmissionBudget, AStormGetsAShareOfTheMedia) {
  RetransmissionBudget budget;
  uint64_t media = 0;
  uint64_t taken = 0;
  // 3 Mbit/s for a minute, with every packet requested five times.
  for (int64_t ms = 0; ms < 60'000; ms += 3) {
    budget.OnMedia(1125);
    media += 1125;
    for (int i = 0; i < 5; ++i) taken += budget.Take(1200, At(ms)) ? 1200 : 0;
  }
  const RetransmissionBudgetConfig config;
  const uint64_t bound =
      media * config.share_percent / 100 + config.burst_bytes + 60 * config.floor_bytes_per_second;
  EXPECT_LE(taken, bound);
  EXPECT_GT(taken, bound * 95 / 100) << "all of the share can be used";
  EXPECT_GT(budget.refused(), 50'000u);
}

TEST(RetransmissionBudget, RepairsALossOfHalfOnce) {
  RetransmissionBudget budget;
  testing::Random random(1);
  for (int64_t ms = 0; ms < 60'000; ms += 3) {
    budget.OnMedia(1125);
    if (!random.Percent(50)) continue;
    ASSERT_TRUE(budget.Take(1135, At(ms)));
  }
}

TEST(RetransmissionBudget, RecoversWithoutMedia) {
  RetransmissionBudget budget;
  while (budget.Take(1, At(0))) {
  }
  EXPECT_FALSE(budget.Take(1200, At(50)));
  EXPECT_TRUE(budget.Take(1200, At(200)));
  budget.Take(1, At(10'000'000));
  EXPECT_EQ(budget.available() + 1, RetransmissionBudgetConfig{}.burst_bytes);
}

}  // namespace
}  // namespace nexus
