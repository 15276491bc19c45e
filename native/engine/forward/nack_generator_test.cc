// Hard problem 10: NACK lists for generated arrivals against a naive model; bounded, across the wrap.
#include "engine/forward/nack_generator.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <vector>

#include "testing/random.h"

namespace nexus {
namespace {

constexpr Duration kRtt{50'000};

TEST(NackGenerator, AgreesWithANaiveModel) {
  struct Hole {
    Timestamp since;
    Timestamp asked;
    int requests = 0;
  };
  for (uint64_t seed = 0; seed < 50; ++seed) {
    testing::Random random(seed);
    NackConfig config;
    config.max_missing = 100'000;
    config.max_requests = 4;
    config.max_age = Duration(random.Percent(50) ? 800'000 : 150'000);
    NackGenerator generator(config);
    std::map<int64_t, Hole> model;
    int64_t highest = 65'536 + 65'400 + random.Between(0, 200);
    Timestamp now = TimestampFromMicros(1'000'000);
    generator.OnPacket(highest, now);
    for (int step = 0; step < 2000; ++step) {
      now += Duration(random.Between(0, 8'000));
      int64_t sequence = highest + 1;
      if (random.Percent(20)) sequence = highest + random.Between(1, 6);
      if (random.Percent(20)) sequence = highest - random.Between(0, 30);
      generator.OnPacket(sequence, now);
      for (int64_t i = highest + 1; i < sequence; ++i) model[i] = {now, now, 0};
      model.erase(sequence);
      highest = std::max(highest, sequence);

      std::vector<uint16_t> expected;
      for (auto it = model.begin(); it != model.end();) {
        Hole& hole = it->second;
        // Each interval is a quarter longer; given up a round trip after the last.
        constexpr std::array<int64_t, 5> kIntervals = {0, 50'000, 62'500, 78'125, 50'000};
        const Timestamp due = hole.requests == 0
                                  ? hole.since + config.reorder_patience
                                  : hole.asked + Duration(kIntervals[static_cast<size_t>(hole.requests)]);
        if (now - hole.since >= config.max_age || (due <= now && hole.requests == config.max_requests)) {
          it = model.erase(it);
          continue;
        }
        if (due <= now) {
          expected.push_back(static_cast<uint16_t>(it->first));
          hole.asked = now;
          ++hole.requests;
        }
        ++it;
      }
      std::array<uint16_t, 3000> out;
      const size_t count = generator.Collect(now, kRtt, out);
      ASSERT_EQ(std::vector<uint16_t>(out.begin(), out.begin() + static_cast<long>(count)), expected);
      ASSERT_EQ(generator.missing(), model.size());
      ASSERT_GT(generator.next_deadline(kRtt), now);
    }
    EXPECT_GT(generator.counters().recovered, 0u);
    EXPECT_GT(generator.counters().given_up, 0u);
  }
}

TEST(NackGenerator, AsksFromEveryStartAroundTheWrap) {
  for (int64_t start = 131'000; start < 131'100; ++start) {
    NackGenerator generator({});
    generator.OnPacket(start, {});
    generator.OnPacket(start + 18, {});
    std::array<uint16_t, 100> out;
    EXPECT_EQ(generator.Collect(TimestampFromMicros(9'000), kRtt, out), 0u) << "patience for reordering";
    ASSERT_EQ(generator.Collect(TimestampFromMicros(10'000), kRtt, out), 17u);
    for (int64_t i = 0; i < 17; ++i)
      EXPECT_EQ(out[static_cast<size_t>(i)], static_cast<uint16_t>(start + 1 + i));
  }
}

TEST(NackGenerator, BoundsItsListAndRemovesTheOldestFirst) {
  NackConfig config;
  config.max_missing = 10;
  NackGenerator generator(config);
  int64_t sequence = 70'000;
  generator.OnPacket(sequence, {});
  for (int i = 0; i < 50; ++i) generator.OnPacket(sequence += 3, {});
  EXPECT_EQ(generator.missing(), 10u);
  EXPECT_EQ(generator.counters().given_up, 90u);
  std::array<uint16_t, 100> out;
  ASSERT_EQ(generator.Collect(TimestampFromMicros(20'000), kRtt, out), 10u);
  EXPECT_EQ(out[9], static_cast<uint16_t>(sequence - 1));
  generator.OnPacket(sequence + 500, {});
  EXPECT_EQ(generator.missing(), 10u);
}

TEST(NackGenerator, ALongJumpIsARestart) {
  NackGenerator generator({});
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'002, {});
  generator.OnPacket(90'000, {});
  EXPECT_EQ(generator.missing(), 0u);
  EXPECT_EQ(generator.counters().restarts, 1u);
  EXPECT_EQ(generator.next_deadline(kRtt), kNever);
}

TEST(NackGenerator, OneStrayOldPacketIsNoRestart) {
  NackGenerator generator({});
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'002, {});
  generator.OnPacket(60'000, {});
  EXPECT_EQ(generator.missing(), 1u);
  generator.OnPacket(70'003, {});
  generator.OnPacket(60'000, {});
  EXPECT_EQ(generator.missing(), 1u);
  EXPECT_EQ(generator.counters().restarts, 0u);
  generator.OnPacket(60'001, {});
  EXPECT_EQ(generator.counters().restarts, 1u);
  EXPECT_EQ(generator.missing(), 0u);
}

TEST(NackGenerator, OutlastsAShortOutageAndThenGivesUp) {
  NackGenerator generator({});
  const Duration rtt(20'000);
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'002, {});
  std::vector<int64_t> asked_ms;
  std::array<uint16_t, 10> out;
  for (int64_t ms = 1; ms < 5000; ++ms) {
    if (generator.Collect(TimestampFromMicros(ms * 1000), rtt, out) > 0) asked_ms.push_back(ms);
  }
  ASSERT_EQ(asked_ms.size(), 10u);
  EXPECT_EQ(asked_ms[0], 10);
  EXPECT_EQ(asked_ms[1], 30);
  EXPECT_GT(asked_ms[9], 500) << "an outage of half a second is survived";
  EXPECT_EQ(generator.missing(), 0u);
  EXPECT_EQ(generator.counters().given_up, 1u);
}

TEST(NackGenerator, DoesNotRequestPacketsThatAreTooOld) {
  NackGenerator generator({});
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'002, {});
  std::array<uint16_t, 10> out;
  uint64_t asked = 0;
  for (int64_t ms = 1; ms < 9000; ++ms) {
    asked += generator.Collect(TimestampFromMicros(ms * 1000), Duration(600'000), out);
  }
  EXPECT_EQ(asked, 2u) << "at 10 and 610 ms";
  EXPECT_EQ(generator.missing(), 0u);
}

TEST(NackGenerator, LearnsTheRoundTripTimeFromResponses) {
  NackGenerator generator({});
  std::array<uint16_t, 10> out;
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'003, {});
  generator.OnPacket(70'001, TimestampFromMicros(1'000));
  EXPECT_FALSE(generator.response_time()) << "it was only late";
  generator.Collect(TimestampFromMicros(10'000), kRtt, out);
  generator.OnPacket(70'002, TimestampFromMicros(95'000));
  EXPECT_EQ(generator.response_time(), Duration(85'000));
  generator.OnPacket(70'005, TimestampFromMicros(100'000));
  generator.Collect(TimestampFromMicros(110'000), kRtt, out);
  generator.Collect(TimestampFromMicros(170'000), kRtt, out);
  generator.OnPacket(70'004, TimestampFromMicros(171'000));
  EXPECT_EQ(generator.response_time(), Duration(85'000))
      << "it is unknown which of two requests was answered";
}

TEST(NackGenerator, ReportsOnceThatTooMuchIsLost) {
  NackConfig config;
  config.max_missing = 10;
  NackGenerator generator(config);
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'011, {});
  EXPECT_FALSE(generator.TakeOverflow());
  generator.OnPacket(70'013, {});
  EXPECT_TRUE(generator.TakeOverflow());
  EXPECT_FALSE(generator.TakeOverflow());
}

TEST(NackGenerator, RequestsOnlyWhatFits) {
  NackGenerator generator({});
  generator.OnPacket(70'000, {});
  generator.OnPacket(70'011, {});
  std::array<uint16_t, 4> out;
  EXPECT_EQ(generator.Collect(TimestampFromMicros(20'000), kRtt, out), 4u);
  EXPECT_EQ(generator.Collect(TimestampFromMicros(20'000), kRtt, out), 4u);
  EXPECT_EQ(generator.Collect(TimestampFromMicros(20'000), kRtt, out), 2u);
  EXPECT_EQ(generator.Collect(TimestampFromMicros(20'000), kRtt, out), 0u);
}

}  // namespace
}  // namespace nexus
