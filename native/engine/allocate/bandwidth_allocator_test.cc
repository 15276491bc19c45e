// Grants for given demands and budgets: order of importance, pauses, and stability when the estimate varies.
#include "engine/allocate/bandwidth_allocator.h"

#include <gtest/gtest.h>

#include <random>

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Three encodings with three temporal layers each.
LayerRates Simulcast() {
  return {
      {{60'000, 90'000, 150'000, 0}, {200'000, 300'000, 500'000, 0}, {600'000, 900'000, 1'500'000, 0}, {}}};
}
SlotDemand Demand(uint32_t slot) {
  SlotDemand demand;
  demand.slot = SlotId{slot};
  demand.rates = Simulcast();
  return demand;
}

class Allocation : public ::testing::Test {
 protected:
  // Runs until the holds of earlier decisions have passed.
  void Settle(std::optional<int64_t> budget) {
    for (int i = 0; i < 100; ++i) grants = Run(budget);
  }
  std::vector<SlotGrant> Run(std::optional<int64_t> budget) {
    now += milliseconds(100);
    const auto result = allocator.Update(demands, budget, true, now);
    return {result.begin(), result.end()};
  }
  Timestamp now = TimestampFromMicros(1'000'000'000);
  BandwidthAllocator allocator;
  std::vector<SlotDemand> demands;
  std::vector<SlotGrant> grants;
};

TEST_F(Allocation, WithoutALimitEachSlotGetsWhatItWants) {
  demands = {Demand(1), Demand(2)};
  demands[1].max = {1, 3};
  Settle(std::nullopt);
  EXPECT_EQ(grants[0].target, kHighestLayer);
  EXPECT_EQ(grants[1].target, (LayerTarget{1, 3}));
  EXPECT_EQ(allocator.wanted_bps(), 2'000'000);
}

TEST_F(Allocation, TheHighestLayersThatFitAreChosen) {
  demands = {Demand(1)};
  Settle(1'000'000);
  EXPECT_EQ(grants[0].target, (LayerTarget{2, 1}));
  Settle(700'000);
  EXPECT_EQ(grants[0].target, (LayerTarget{2, 0}));
  Settle(560'000);
  EXPECT_EQ(grants[0].target, (LayerTarget{1, 2}));
  Settle(160'000);
  EXPECT_EQ(grants[0].target, (LayerTarget{0, 2}));
}

TEST_F(Allocation, GivesEachSlotItsLowestLayerBeforeAnySecondLayer) {
  for (uint32_t i = 1; i <= 5; ++i) demands.push_back(Demand(i));
  demands[2].screen = true;
  Settle(340'000);
  for (const SlotGrant& grant : grants) EXPECT_TRUE(grant.target);
  Settle(500'000);
  EXPECT_EQ(grants[2].target, (LayerTarget{1, 0}));
  EXPECT_EQ(grants[0].target, (LayerTarget{0, 0}));
}

TEST_F(Allocation, TheLeastImportantIsPausedFirst) {
  for (uint32_t i = 1; i <= 4; ++i) demands.push_back(Demand(i));
  demands[0].area = 100;
  demands[1].pinned = true;
  demands[2].screen = true;
  demands[3].priority = 1;
  Settle(200'000);  // three lowest layers
  EXPECT_FALSE(grants[0].target);
  EXPECT_TRUE(grants[1].target);
  Settle(130'000);
  EXPECT_FALSE(grants[1].target);
  EXPECT_TRUE(grants[2].target);
  Settle(70'000);
  EXPECT_FALSE(grants[2].target);
  EXPECT_TRUE(grants[3].target);
  EXPECT_EQ(allocator.paused(), 3u);
}

TEST_F(Allocation, PrefersTheLargerVideoThenTheSpeakerAmongEquals) {
  demands = {Demand(1), Demand(2), Demand(3)};
  demands[1].area = 640 * 360;
  demands[2].speaking = true;
  Settle(250'000);
  EXPECT_EQ(grants[1].target, (LayerTarget{0, 1}));
  EXPECT_EQ(grants[2].target, (LayerTarget{0, 0}));
  demands[1].area = 0;
  Settle(150'000);
  EXPECT_TRUE(grants[2].target);
}

TEST_F(Allocation, PausesNothingOnAGuess) {
  demands = {Demand(1)};
  demands[0].rates = {};
  demands[0].rates[0][0] = 2'000'000;
  for (int i = 0; i < 50; ++i) {
    const auto result = allocator.Update(demands, 500'000, false, now += milliseconds(100));
    ASSERT_TRUE(result[0].target);
  }
}

TEST_F(Allocation, AFluctuatingEstimateChangesNothing) {
  for (uint32_t i = 1; i <= 3; ++i) demands.push_back(Demand(i));
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> tremble(0.97, 1.03);
  for (const int64_t base : {400'000, 700'000, 1'000'000, 1'600'000, 2'500'000}) {
    Settle(base);
    std::vector<SlotGrant> before = grants;
    int changes = 0;
    for (int i = 0; i < 600; ++i) {
      grants = Run(static_cast<int64_t>(static_cast<double>(base) * tremble(random)));
      for (size_t k = 0; k < grants.size(); ++k) changes += grants[k].target != before[k].target ? 1 : 0;
      before = grants;
    }
    EXPECT_LE(changes, 4) << base;
  }
}

// An estimate that falls whenever the higher layer is sent, which is therefore tried less and less often.
TEST_F(Allocation, DelaysALayerThatHadToBeTakenBack) {
  demands = {Demand(1)};
  Settle(400'000);
  int raised = 0;
  LayerTarget last = *grants[0].target;
  for (int i = 0; i < 600; ++i) {
    const bool high = grants[0].target && grants[0].target->spatial > 1;
    grants = Run(high ? 450'000 : 1'100'000);
    if (*grants[0].target > last) ++raised;
    last = *grants[0].target;
  }
  EXPECT_LE(raised, 14);  // in a minute
}

TEST_F(Allocation, NeverExceedsTheBudget) {
  std::mt19937_64 random(11);
  for (uint32_t i = 1; i <= 8; ++i) demands.push_back(Demand(i));
  for (int i = 0; i < 5'000; ++i) {
    for (SlotDemand& demand : demands) {
      if (random() % 50 == 0) demand.priority = static_cast<uint8_t>(random() % 3);
      if (random() % 50 == 0)
        demand.max = {static_cast<uint8_t>(random() % 3), static_cast<uint8_t>(random() % 3)};
      if (random() % 50 == 0) demand.area = static_cast<uint32_t>(random() % 1'000'000);
    }
    const auto budget = static_cast<int64_t>(600'000 + random() % 10'000'000);
    Run(budget);
    ASSERT_LE(allocator.granted_bps(), budget * 106 / 100);
  }
}

}  // namespace
}  // namespace nexus
