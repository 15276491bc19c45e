// Hard problem 6: each arrival is reported exactly once, from every start around the wrap, with loss, late
// packets and repeats.
#include "engine/forward/twcc_recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/rtcp/rtcp_reader.h"
#include "testing/random.h"

namespace nexus {
namespace {

struct Reported {
  std::map<uint16_t, int> received;
  std::map<uint16_t, int> lost;
  size_t feedbacks = 0;
  std::optional<uint8_t> count;
};

void Drain(TwccRecorder& recorder, Timestamp now, size_t mtu, Reported& reported) {
  std::vector<uint8_t> buffer(mtu);
  while (const size_t size = recorder.WriteFeedback(buffer, Ssrc{1}, Ssrc{2}, now)) {
    RtcpReader reader(ByteView(buffer).first(size));
    const auto item = reader.Next();
    ASSERT_TRUE(item && std::holds_alternative<TwccFeedbackView>(*item));
    const auto& view = std::get<TwccFeedbackView>(*item);
    if (reported.count) {
      ASSERT_EQ(view.feedback_count(), static_cast<uint8_t>(*reported.count + 1));
    }
    reported.count = view.feedback_count();
    ++reported.feedbacks;
    view.ForEach(
        [&](uint16_t n, std::optional<Duration> time) { ++(time ? reported.received : reported.lost)[n]; });
  }
}

void RunFrom(uint16_t start, uint64_t seed, size_t mtu) {
  testing::Random random(seed);
  TwccRecorder recorder;
  std::vector<std::pair<int64_t, uint16_t>> order;
  std::set<uint16_t> arrived;
  for (int64_t i = 0; i < 1500; ++i) {
    const auto number = static_cast<uint16_t>(start + i);
    if (i > 0 && random.Percent(10)) continue;
    // Most are in order, some late by up to 100 packets, which is more than a feedback interval.
    order.emplace_back(i * 1000 + (i > 0 && random.Percent(5) ? random.Between(0, 150'000) : 0), number);
    arrived.insert(number);
    if (random.Percent(3)) order.emplace_back(i * 1000 + random.Between(0, 200'000), number);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Reported reported;
  for (const auto& [at, number] : order) {
    const Timestamp now = TimestampFromMicros(1'000'000 + at);
    recorder.OnPacket(number, now);
    if (recorder.due(now)) Drain(recorder, now, mtu, reported);
  }
  Drain(recorder, TimestampFromMicros(9'000'000), mtu, reported);
  for (const uint16_t number : arrived)
    ASSERT_EQ(reported.received[number], 1) << number << " start " << start;
  for (const auto& [number, times] : reported.received) ASSERT_TRUE(arrived.count(number) || times == 0);
  // A number that was reported as received is never reported as lost later; the reverse is possible for a
  // late packet.
  for (const auto& [number, times] : reported.lost) ASSERT_LE(times, 1) << number;
  EXPECT_GT(reported.feedbacks, 10u);
  EXPECT_GT(recorder.counters().duplicates, 0u);
  EXPECT_EQ(recorder.counters().feedbacks, reported.feedbacks);
}

TEST(TwccRecorder, ReportsEachArrivalOnceFromEveryStartAroundTheWrap) {
  for (uint32_t start = 65'500; start < 65'560; ++start) RunFrom(static_cast<uint16_t>(start), start, 1200);
  for (uint32_t start = 64'100; start < 65'536; start += 97)
    RunFrom(static_cast<uint16_t>(start), start, 100);
}

TEST(TwccRecorder, IsDueAfterTheIntervalOrEnoughPackets) {
  TwccRecorder recorder;
  EXPECT_EQ(recorder.next_deadline(), kNever);
  recorder.OnPacket(1, TimestampFromMicros(50'000));
  EXPECT_EQ(recorder.next_deadline(), TimestampFromMicros(150'000));
  for (uint16_t i = 2; i <= 200; ++i) recorder.OnPacket(i, TimestampFromMicros(50'000));
  EXPECT_TRUE(recorder.due(TimestampFromMicros(50'000)));
}

TEST(TwccRecorder, AThousandLossesInARow) {
  TwccRecorder recorder;
  Reported reported;
  recorder.OnPacket(65'000, TimestampFromMicros(1000));
  Drain(recorder, TimestampFromMicros(2000), 1200, reported);
  recorder.OnPacket(static_cast<uint16_t>(65'000 + 1001), TimestampFromMicros(200'000));
  Drain(recorder, TimestampFromMicros(300'000), 1200, reported);
  EXPECT_EQ(reported.lost.size(), 1000u);
  EXPECT_EQ(reported.received.size(), 2u);
}

TEST(TwccRecorder, BoundsMemoryWithoutFeedback) {
  TwccRecorder recorder;
  for (uint32_t i = 0; i < 10'000; ++i) recorder.OnPacket(static_cast<uint16_t>(i), TimestampFromMicros(i));
  EXPECT_EQ(recorder.counters().overflow, 8'000u);
}

TEST(TwccRecorder, OnlyCountsPacketsThatAreFarTooLate) {
  TwccRecorder recorder;
  Reported reported;
  for (uint16_t i = 1000; i < 1003; ++i) recorder.OnPacket(i, TimestampFromMicros(1000));
  Drain(recorder, TimestampFromMicros(2000), 1200, reported);
  recorder.OnPacket(400, TimestampFromMicros(3000));
  EXPECT_EQ(recorder.counters().too_late, 1u);
  Drain(recorder, TimestampFromMicros(4000), 1200, reported);
  EXPECT_EQ(reported.received.size(), 3u);
}

}  // namespace
}  // namespace nexus
