// Hard problem 1: keyframe storms.
#include "engine/forward/keyframe_requester.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/random.h"

namespace nexus {
namespace {

// 500 subscribers join within a second; the encoder answers a PLI after 100 ms. At most one PLI per 300 ms is
// sent, and each subscriber has a keyframe within a second.
TEST(KeyframeRequester, FiveHundredJoinWithinASecond) {
  testing::Random random(1);
  KeyframeRequester requester;
  std::vector<int64_t> joins;
  for (int i = 0; i < 500; ++i) joins.push_back(random.Between(0, 1'000'000));
  std::vector<int64_t> waiting;
  std::vector<int64_t> sent;
  int64_t worst = 0;
  size_t served = 0;
  int64_t keyframe_at = -1;
  for (int64_t now = 0; now < 3'000'000; now += 1000) {
    for (const int64_t join : joins) {
      if (join / 1000 != now / 1000) continue;
      requester.Request();
      waiting.push_back(now);
    }
    if (keyframe_at >= 0 && now >= keyframe_at) {
      keyframe_at = -1;
      requester.OnKeyframe(TimestampFromMicros(now));
      for (const int64_t since : waiting) worst = std::max(worst, now - since);
      served += waiting.size();
      waiting.clear();
    }
    if (!requester.Poll(TimestampFromMicros(now))) continue;
    sent.push_back(now);
    if (keyframe_at < 0) keyframe_at = now + 100'000;
  }
  EXPECT_EQ(served, 500u);
  EXPECT_LE(worst, 1'000'000);
  EXPECT_LE(sent.size(), 5u);
  for (size_t i = 1; i < sent.size(); ++i) EXPECT_GE(sent[i] - sent[i - 1], 300'000);
  EXPECT_EQ(requester.requested(), 500u);
}

TEST(KeyframeRequester, ASlotWithALowerLayerWaitsForAKeyframeThatComesAnyway) {
  KeyframeRequester requester;
  requester.OnKeyframe(TimestampFromMicros(0));
  requester.RequestForBetter(Duration(800'000));
  EXPECT_FALSE(requester.pending());
  EXPECT_TRUE(requester.awaited());
  EXPECT_FALSE(requester.Poll(TimestampFromMicros(799'999)));
  EXPECT_EQ(requester.next_deadline(), TimestampFromMicros(800'000));
  requester.OnKeyframe(TimestampFromMicros(500'000));
  EXPECT_FALSE(requester.awaited());
  EXPECT_EQ(requester.next_deadline(), kNever);
  EXPECT_EQ(requester.sent(), 0u);
}

TEST(KeyframeRequester, ASlotWithNothingToShowDoesNotWait) {
  KeyframeRequester requester;
  requester.OnKeyframe(TimestampFromMicros(0));
  requester.RequestForBetter(Duration(800'000));
  requester.Request();
  EXPECT_TRUE(requester.Poll(TimestampFromMicros(100'000)));
  requester.OnKeyframe(TimestampFromMicros(150'000));
  EXPECT_FALSE(requester.awaited());
}

TEST(KeyframeRequester, TheShortestIntervalDecidesAndALostRequestIsRepeated) {
  KeyframeRequester requester;
  requester.RequestForBetter(Duration(900'000));
  requester.RequestForBetter(Duration(400'000));
  requester.RequestForBetter(Duration(1'000'000));
  EXPECT_TRUE(requester.Poll(TimestampFromMicros(0))) << "there was no keyframe before";
  EXPECT_EQ(requester.next_deadline(), TimestampFromMicros(400'000));
  EXPECT_TRUE(requester.Poll(TimestampFromMicros(400'000)));
}

TEST(KeyframeRequester, RepeatsUntilTheKeyframeArrives) {
  KeyframeRequester requester;
  EXPECT_EQ(requester.next_deadline(), kNever);
  requester.Request();
  EXPECT_TRUE(requester.Poll(TimestampFromMicros(0)));
  EXPECT_FALSE(requester.Poll(TimestampFromMicros(299'999)));
  EXPECT_EQ(requester.next_deadline(), TimestampFromMicros(300'000));
  EXPECT_TRUE(requester.Poll(TimestampFromMicros(300'000)));
  requester.OnKeyframe(TimestampFromMicros(310'000));
  EXPECT_FALSE(requester.Poll(TimestampFromMicros(2'000'000)));
  EXPECT_EQ(requester.sent(), 2u);
}

TEST(KeyframeRequester, CancelsWhenNoSlotWaits) {
  KeyframeRequester requester;
  requester.Request();
  requester.Cancel();
  EXPECT_FALSE(requester.pending());
  EXPECT_FALSE(requester.Poll({}));
}

}  // namespace
}  // namespace nexus
