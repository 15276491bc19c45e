#include "engine/tap/tap_clock.h"

#include <gtest/gtest.h>

#include <random>

namespace nexus {
namespace {

constexpr uint32_t kRate = 90'000;

struct Played {
  TapClock clock;
  // One frame every 20 ms of RTP time; returns its media time in µs.
  int64_t Frame(int64_t source_us, bool synchronised = true) {
    const Timestamp at = clock.OnPacket(rtp, kRate, TimestampFromMicros(source_us), synchronised);
    rtp += kRate / 50;
    return at.time_since_epoch().count();
  }
  int64_t rtp = 0;
};

TEST(TapClock, FollowsAClockThatIsOffBy200PartsPerMillionForAnHour) {
  Played played;
  int64_t last = 0;
  for (int64_t i = 0; i < 3'600 * 50; ++i) {
    const int64_t source = i * 20'000 + i * 4;  // 200 ppm
    const int64_t us = played.Frame(source);
    EXPECT_NEAR(us, source, 1);
    if (i > 0) {
      EXPECT_NEAR(us - last, 20'000, 20);
    }
    last = us;
  }
}

TEST(TapClock, SlewsAStepOfTheSourceClockByOneMillisecondPerSecond) {
  Played played;
  for (int i = 0; i < 50; ++i) played.Frame(i * 20'000);
  int64_t last = 49 * 20'000;
  for (int i = 50; i < 50 + 40 * 50; ++i) {
    const int64_t us = played.Frame(i * 20'000 + 30'000);
    EXPECT_GE(us - last, 20'000);
    EXPECT_LE(us - last, 20'020);
    last = us;
  }
  EXPECT_EQ(last, (49 + 40 * 50) * 20'000 + 30'000);
}

TEST(TapClock, TakesTheTimeOfTheSourceAfterARestartAndAtTheFirstReport) {
  Played played;
  EXPECT_EQ(played.Frame(1'000'000, false), 1'000'000);
  EXPECT_EQ(played.Frame(1'060'000, true), 1'060'000);  // corrected once
  EXPECT_EQ(played.Frame(1'180'000, true), 1'080'020);  // then slewed
  played.clock.Restart();
  EXPECT_EQ(played.Frame(1'500'000, true), 1'500'000);
}

TEST(TapClock, ContinuesWhenRtpTimeStandsStill) {
  TapClock clock;
  clock.OnPacket(0, kRate, TimestampFromMicros(0), true);
  const Timestamp at = clock.OnPacket(0, kRate, TimestampFromMicros(60'000'000), true);
  EXPECT_EQ(at, TimestampFromMicros(60'000'000));
}

TEST(TapClock, KeepsTheTimesOfFramesThatAreSentOutOfOrder) {
  TapClock clock;
  clock.OnPacket(0, kRate, TimestampFromMicros(0), true);
  clock.OnPacket(9'000, kRate, TimestampFromMicros(100'000), true);
  EXPECT_EQ(clock.OnPacket(4'500, kRate, TimestampFromMicros(50'000), true), TimestampFromMicros(50'000));
}

TEST(TapClock, NeverRunsBackwards) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    Played played;
    int64_t source = 0;
    int64_t last = INT64_MIN;
    for (int i = 0; i < 500; ++i) {
      source += 20'000 + static_cast<int64_t>(random() % 200'001) - 100'000;
      if (random() % 50 == 0) source -= 3'000'000;
      if (random() % 40 == 0) played.clock.Restart();
      const int64_t us = played.Frame(source, random() % 2 == 0);
      ASSERT_GE(us, last) << "seed " << seed;
      last = us;
    }
  }
}

}  // namespace
}  // namespace nexus
