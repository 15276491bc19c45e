// Hard problem 10: NACK lists by generated arrivals against a naive model, bounded, across the wrap.
#include "engine/forward/nack_generator.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

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
    const NackConfig config{100'000, 4, Duration(10'000), Duration(20'000), 1000};
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
        const Timestamp due = hole.requests == 0 ? hole.since + config.reorder_patience : hole.asked + kRtt;
        if (due <= now && hole.requests == config.max_requests) {
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

TEST(NackGenerator, ItsListIsBoundedAndTheOldestGoFirst) {
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

TEST(NackGenerator, OnlyWhatFitsIsAsked) {
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
