// Hard problems 5 and 10: NACKs are answered from 32 bytes per packet; compared with a naive model.
#include "engine/forward/slot_history.h"

#include <gtest/gtest.h>

#include <map>

#include "testing/random.h"

namespace nexus {
namespace {

struct Kept {
  SentPacket sent;
  int resends = 0;
  Timestamp last;
};

TEST(SlotHistory, AgreesWithANaiveModel) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    testing::Random random(seed);
    const SlotHistoryConfig config{64, 3, Duration(10'000)};
    SlotHistory history(config);
    std::map<int64_t, Kept> model;
    int64_t newest = random.Between(0, 140'000);
    Timestamp now = TimestampFromMicros(1'000'000);
    const Duration rtt(50'000);
    for (int step = 0; step < 5000; ++step) {
      now += Duration(1000 * random.Between(0, 20));
      const bool with_descriptors = seed % 2 == 1 && step > 30;
      if (random.Percent(50)) {
        const int64_t sequence = newest + random.Between(-3, 4);
        if (sequence < 0) continue;
        if (model.count(sequence)) continue;
        newest = std::max(newest, sequence);
        Rewritten rewritten;
        rewritten.sequence_number = sequence;
        rewritten.timestamp = static_cast<uint32_t>(random.Next());
        rewritten.marker = random.Percent(30);
        rewritten.csrc = static_cast<uint32_t>(random.Next());
        rewritten.patch.size = static_cast<uint8_t>(random.Below(7));
        rewritten.patch.replaces = static_cast<uint8_t>(random.Below(7));
        for (uint8_t& byte : rewritten.patch.bytes) byte = static_cast<uint8_t>(random.Next());
        if (with_descriptors && random.Percent(70)) {
          rewritten.descriptor = {true, static_cast<uint8_t>(random.Below(64)),
                                  static_cast<uint16_t>(random.Next()), static_cast<uint16_t>(random.Next())};
        }
        const LayerId layer{static_cast<uint32_t>(random.Next())};
        const auto source = static_cast<int64_t>(random.Next() >> 16);
        history.OnSent(layer, source, rewritten);
        model[sequence] = {{layer, source, rewritten}, 0, {}};
        continue;
      }
      const int64_t asked = newest - random.Between(-2, 80);
      SentPacket sent;
      const ResendOutcome outcome = history.OnNack(static_cast<uint16_t>(asked), now, rtt, sent);
      const auto kept = model.find(asked);
      if (asked > newest || asked <= newest - 64 || kept == model.end()) {
        ASSERT_EQ(outcome, ResendOutcome::kUnknown) << asked << " of " << newest;
        continue;
      }
      if (kept->second.resends >= 3) {
        ASSERT_EQ(outcome, ResendOutcome::kTooOften);
      } else if (kept->second.resends > 0 && now - kept->second.last < rtt) {
        ASSERT_EQ(outcome, ResendOutcome::kTooSoon);
      } else {
        ASSERT_EQ(outcome, ResendOutcome::kResend);
        ++kept->second.resends;
        kept->second.last = now;
        const SentPacket& expected = kept->second.sent;
        ASSERT_EQ(sent.layer, expected.layer);
        ASSERT_EQ(sent.source_sequence, expected.source_sequence);
        ASSERT_EQ(sent.rewritten.sequence_number, asked);
        ASSERT_EQ(sent.rewritten.timestamp, expected.rewritten.timestamp);
        ASSERT_EQ(sent.rewritten.marker, expected.rewritten.marker);
        ASSERT_EQ(sent.rewritten.csrc, expected.rewritten.csrc);
        ASSERT_EQ(sent.rewritten.patch, expected.rewritten.patch);
        ASSERT_EQ(sent.rewritten.descriptor, expected.rewritten.descriptor);
      }
    }
  }
}

TEST(SlotHistory, AnEmptyHistoryKnowsNothing) {
  SlotHistory history({});
  SentPacket sent;
  for (const uint16_t sequence : {0, 1, 65'535}) {
    EXPECT_EQ(history.OnNack(sequence, {}, {}, sent), ResendOutcome::kUnknown);
  }
}

// NACKs of 1, 2, 3 and 17 numbers across 65535 -> 0.
TEST(SlotHistory, AnswersAcrossTheWrap) {
  for (const int64_t count : {1, 2, 3, 17}) {
    for (int64_t start = 65'515; start < 65'540; ++start) {
      SlotHistory history({128, 5, Duration(0)});
      for (int64_t i = start; i < start + count; ++i) {
        Rewritten rewritten;
        rewritten.sequence_number = i;
        history.OnSent(LayerId{1}, i + 1000, rewritten);
      }
      for (int64_t i = start; i < start + count; ++i) {
        SentPacket sent;
        ASSERT_EQ(history.OnNack(static_cast<uint16_t>(i), {}, {}, sent), ResendOutcome::kResend);
        ASSERT_EQ(sent.source_sequence, i + 1000);
        ASSERT_EQ(sent.rewritten.sequence_number, i);
      }
    }
  }
}

// A history doubles while its entries are young; the descriptors move with them.
TEST(SlotHistory, KeepsDescriptorsWhenItGrows) {
  SlotHistory history({256, 5, Duration(0), 4});
  const auto descriptor = [](int64_t i) {
    return i < 65'540 ? DescriptorPatch{}
                      : DescriptorPatch{true, static_cast<uint8_t>(i % 64), static_cast<uint16_t>(i * 7), 3};
  };
  for (int64_t i = 65'500; i < 65'700; ++i) {
    Rewritten rewritten;
    rewritten.sequence_number = i;
    rewritten.timestamp = static_cast<uint32_t>(i);
    rewritten.descriptor = descriptor(i);
    history.OnSent(LayerId{1}, i, rewritten);
  }
  for (int64_t i = 65'500; i < 65'700; ++i) {
    const auto sent = history.Find(i);
    ASSERT_TRUE(sent) << i;
    EXPECT_EQ(sent->rewritten.descriptor, descriptor(i)) << i;
  }
}

}  // namespace
}  // namespace nexus
