// Reception reports, compared with values computed by hand from RFC 3550 A.3 and A.8.
#include "engine/forward/receiver_stats.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

constexpr int64_t kFirst = 65'536 + 65'530;  // wraps soon

TEST(ReceiverStats, CountsLossByInterval) {
  ReceiverStats stats(Ssrc{7}, 90'000);
  EXPECT_FALSE(stats.MakeReport({}));
  for (int64_t i = 0; i < 100; ++i) {
    if (i % 4 == 1) continue;
    stats.OnPacket(kFirst + i, static_cast<uint32_t>(i * 3000), TimestampFromMicros(i * 33'333), 100);
  }
  const auto first = stats.MakeReport({});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->source, Ssrc{7});
  EXPECT_EQ(first->fraction_lost, 64);  // a quarter of 256
  EXPECT_EQ(first->cumulative_lost, 25);
  EXPECT_EQ(first->extended_highest_sequence, static_cast<uint32_t>(65'530 + 99));
  EXPECT_LT(stats.jitter_ms(), 1.0);
  for (int64_t i = 100; i < 200; ++i) {
    stats.OnPacket(kFirst + i, static_cast<uint32_t>(i * 3000), TimestampFromMicros(i * 33'333), 100);
  }
  const auto second = stats.MakeReport({});
  EXPECT_EQ(second->fraction_lost, 0);
  EXPECT_EQ(second->cumulative_lost, 25);
  EXPECT_EQ(stats.bytes(), 17'500u);
}

TEST(ReceiverStats, RepairedAndRepeatedPacketsDoNotHideLoss) {
  ReceiverStats stats(Ssrc{7}, 90'000);
  stats.OnPacket(kFirst, 0, {}, 10);
  stats.OnPacket(kFirst + 2, 0, {}, 10);
  stats.OnPacket(kFirst + 1, 0, {}, 10, true);
  EXPECT_EQ(stats.cumulative_lost(), 1);
  EXPECT_EQ(stats.repaired(), 1u);
  stats.OnPacket(kFirst + 2, 0, {}, 10);
  stats.OnPacket(kFirst + 2, 0, {}, 10);
  EXPECT_EQ(stats.cumulative_lost(), -1) << "RFC 3550 A.3: repeats may make it negative";
  EXPECT_EQ(stats.MakeReport({})->fraction_lost, 0);
}

TEST(ReceiverStats, JitterFollowsA8) {
  ReceiverStats stats(Ssrc{7}, 8'000);
  stats.OnPacket(kFirst, 0, TimestampFromMicros(0), 10);
  // 20 ms of media after 36 ms: 128 units late, J = 128/16
  stats.OnPacket(kFirst + 1, 160, TimestampFromMicros(36'000), 10);
  EXPECT_EQ(stats.MakeReport({})->jitter, 8u);
  EXPECT_DOUBLE_EQ(stats.jitter_ms(), 1.0);
  // The same frame much later, or a jump of its clock, does not count.
  stats.OnPacket(kFirst + 2, 160, TimestampFromMicros(90'000), 10);
  stats.OnPacket(kFirst + 3, 0x80000000u, TimestampFromMicros(100'000), 10);
  EXPECT_EQ(stats.MakeReport({})->jitter, 8u);
}

TEST(ReceiverStats, SenderReportsYieldTheRoundTripTime) {
  ReceiverStats stats(Ssrc{7}, 90'000);
  stats.OnPacket(kFirst, 0, {}, 10);
  EXPECT_EQ(stats.MakeReport({})->last_sr, 0u);
  const Timestamp sent = TimestampFromMicros(10'000'000);
  stats.OnSenderReport(NtpFromTimestamp(sent), sent + Duration(30'000));
  const auto block = stats.MakeReport(sent + Duration(530'000));
  ASSERT_TRUE(block);
  EXPECT_EQ(block->delay_since_last_sr, 32'768u);
  const auto rtt = RoundTripTime(*block, NtpFromTimestamp(sent + Duration(560'000)));
  ASSERT_TRUE(rtt);
  EXPECT_NEAR(static_cast<double>(rtt->count()), 60'000.0, 40.0);
  EXPECT_FALSE(RoundTripTime(ReportBlock{}, NtpTime{1}));
  ReportBlock early = *block;
  early.delay_since_last_sr += 4'000;
  EXPECT_EQ(RoundTripTime(early, NtpFromTimestamp(sent + Duration(560'000))), Duration(0));
}

}  // namespace
}  // namespace nexus
