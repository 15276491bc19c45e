#include "engine/data/data_lane.h"

#include <gtest/gtest.h>

#include <array>

namespace nexus {
namespace {

using std::chrono::milliseconds;

class DataLaneTest : public ::testing::Test {
 protected:
  // Bytes that leave within a second of a sender that always has more.
  int64_t SentInASecond() {
    int64_t bits = 0;
    for (const Timestamp end = now_ + std::chrono::seconds(1); now_ < end; now_ += milliseconds(1)) {
      while (lane_.Push(packet_)) {
      }
      while (lane_.due(now_)) {
        const size_t size = lane_.Pop().size();
        lane_.OnSent(size, now_);
        bits += static_cast<int64_t>(size) * 8;
      }
    }
    return bits;
  }
  DataLane lane_;
  std::array<uint8_t, 1'200> packet_{};
  Timestamp now_ = TimestampFromMicros(1'000'000);
};

TEST_F(DataLaneTest, DelaysNothingUntilThereIsAQueue) {
  EXPECT_TRUE(lane_.MayPass(now_));
  lane_.OnEstimate(500'000, 400'000, false, now_);
  EXPECT_EQ(lane_.rate_bps(), 0);
  EXPECT_TRUE(lane_.MayPass(now_));
}

TEST_F(DataLaneTest, UsesTheRateThatMediaLeavesAndThenGrows) {
  lane_.OnEstimate(1'000'000, 400'000, true, now_);
  EXPECT_EQ(lane_.rate_bps(), 600'000);
  EXPECT_NEAR(static_cast<double>(SentInASecond()), 600'000, 60'000);
  lane_.OnEstimate(1'000'000, 950'000, true, now_);
  EXPECT_EQ(lane_.rate_bps(), 250'000) << "a quarter at least";
  for (int i = 0; i < 20; ++i) lane_.OnEstimate(1'000'000, 950'000, false, now_ += milliseconds(100));
  EXPECT_GT(lane_.rate_bps(), 500'000);
  for (int i = 0; i < 200; ++i) lane_.OnEstimate(1'000'000, 950'000, false, now_ += milliseconds(100));
  EXPECT_EQ(lane_.rate_bps(), 0) << "without a queue there is no limit";
}

TEST_F(DataLaneTest, IsBounded) {
  for (size_t i = 0; i < DataLane::kMaxPackets; ++i) EXPECT_TRUE(lane_.Push(packet_));
  EXPECT_FALSE(lane_.Push(packet_));
  EXPECT_EQ(lane_.bytes(), DataLane::kMaxPackets * packet_.size());
  EXPECT_FALSE(lane_.MayPass(now_)) << "in order";
}

}  // namespace
}  // namespace nexus
