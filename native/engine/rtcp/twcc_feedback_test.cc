// TWCC feedback (hard problem 6): every start number around the wrap, negative reference times, 1,000 losses,
// and feedback larger than the MTU.
#include "engine/rtcp/twcc_feedback.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine/rtcp/rtcp_reader.h"
#include "testing/random.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

TwccFeedbackView ParseOne(ByteView packet) {
  RtcpReader reader(packet);
  const auto item = reader.Next();
  EXPECT_TRUE(item && std::holds_alternative<TwccFeedbackView>(*item));
  if (!item || !std::holds_alternative<TwccFeedbackView>(*item)) return {};
  return std::get<TwccFeedbackView>(*item);
}

// Writes as many feedbacks as needed, and compares each number and time with the recorded ones.
void ExpectRoundTrip(const std::vector<TwccArrival>& arrivals, size_t mtu, size_t* feedbacks = nullptr) {
  std::map<int64_t, Timestamp> told;
  int64_t base = arrivals.front().sequence;
  size_t done = 0;
  uint8_t count = 0;
  while (done < arrivals.size()) {
    Bytes buffer(mtu);
    const auto result =
        WriteTwccFeedback(buffer, Ssrc{1}, Ssrc{2}, count++, base, std::span(arrivals).subspan(done));
    ASSERT_GT(result.size, 0u);
    ASSERT_EQ(result.size % 4, 0u);
    const TwccFeedbackView view = ParseOne(ByteView(buffer).first(result.size));
    ASSERT_EQ(view.base_sequence(), static_cast<uint16_t>(base));
    int64_t number = base;
    view.ForEach([&](uint16_t sequence, std::optional<Duration> time) {
      ASSERT_EQ(sequence, static_cast<uint16_t>(number));
      if (time) {
        // The reference time is modulo 2^24 units: compare modulo that.
        told[number] = Timestamp(*time);
      }
      ++number;
    });
    done += result.consumed;
    base = arrivals[done - 1].sequence + 1;
    ASSERT_EQ(number, base);
  }
  if (feedbacks) *feedbacks = count;
  ASSERT_EQ(told.size(), arrivals.size());
  const int64_t circle = (int64_t{1} << 24) * kTwccReferenceUnit.count();
  for (const TwccArrival& arrival : arrivals) {
    int64_t error = (arrival.arrival - told.at(arrival.sequence)).count() % circle;
    if (error > circle / 2) error -= circle;
    if (error < -circle / 2) error += circle;
    ASSERT_GE(error, 0) << arrival.sequence;
    ASSERT_LT(error, kTwccTick.count()) << arrival.sequence;
  }
}

std::vector<TwccArrival> Pattern(int64_t start, size_t count, unsigned loss_percent, int64_t max_step_us,
                                 uint64_t seed, int64_t time_us = 5'000'000) {
  testing::Random random(seed);
  std::vector<TwccArrival> arrivals;
  for (size_t i = 0; i < count; ++i) {
    time_us += random.Between(-max_step_us / 4, max_step_us);
    if (i != 0 && random.Percent(loss_percent)) continue;
    arrivals.push_back({start + static_cast<int64_t>(i), TimestampFromMicros(time_us)});
  }
  return arrivals;
}

TEST(TwccFeedback, RoundTripsFromEveryStartAroundTheWrap) {
  for (int64_t start = 65'536 + 65'480; start < 65'536 + 65'560; ++start) {
    ExpectRoundTrip(Pattern(start, 60, 20, 3000, static_cast<uint64_t>(start)), 1200);
  }
}

TEST(TwccFeedback, RoundTripsEveryMixOfLossAndDelta) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const unsigned loss = static_cast<unsigned>(seed % 10) * 10;
    const int64_t step = seed % 3 == 0 ? 200 : (seed % 3 == 1 ? 70'000 : 900'000);
    ExpectRoundTrip(Pattern(70'000, 300, loss, step, seed), 1200);
  }
}

TEST(TwccFeedback, AThousandLossesAreOneRun) {
  std::vector<TwccArrival> arrivals = {{70'000, TimestampFromMicros(1000)},
                                       {71'001, TimestampFromMicros(2000)}};
  Bytes buffer(1200);
  const auto result = WriteTwccFeedback(buffer, Ssrc{1}, Ssrc{2}, 0, 70'000, arrivals);
  EXPECT_EQ(result.consumed, 2u);
  EXPECT_LE(result.size, 32u);
  ExpectRoundTrip(arrivals, 1200);
}

TEST(TwccFeedback, LongLossesFitTheThirteenBitsOfARun) {
  ExpectRoundTrip({{70'000, TimestampFromMicros(1000)}, {100'000, TimestampFromMicros(2000)}}, 1200);
}

TEST(TwccFeedback, IsSplitAtTheMtu) {
  size_t feedbacks = 0;
  ExpectRoundTrip(Pattern(70'000, 3000, 50, 20'000, 7), 1200, &feedbacks);
  EXPECT_GT(feedbacks, 1u);
  ExpectRoundTrip(Pattern(70'000, 200, 30, 70'000, 8), 60, &feedbacks);
  EXPECT_GT(feedbacks, 4u);
}

TEST(TwccFeedback, ATimeGapThatNoDeltaHoldsBeginsANewFeedback) {
  size_t feedbacks = 0;
  ExpectRoundTrip({{70'000, TimestampFromMicros(0)}, {70'001, TimestampFromMicros(60'000'000)}}, 1200,
                  &feedbacks);
  EXPECT_EQ(feedbacks, 2u);
}

// The reference time is 24 bits and signed: before zero, and around its wrap after 12.4 days.
TEST(TwccFeedback, ReferenceTimeIsSignedAndWraps) {
  ExpectRoundTrip(Pattern(70'000, 50, 10, 3000, 9, -10'000'000), 1200);
  const int64_t half = (int64_t{1} << 23) * kTwccReferenceUnit.count();
  for (int64_t shift = -200'000; shift <= 200'000; shift += 16'000) {
    ExpectRoundTrip(Pattern(70'000, 30, 10, 10'000, 10, half + shift), 1200);
    ExpectRoundTrip(Pattern(70'000, 30, 10, 10'000, 11, 2 * half + shift), 1200);
  }
}

TEST(TwccFeedback, ABaseBeforeTheFirstArrivalReportsLosses) {
  Bytes buffer(1200);
  const std::vector<TwccArrival> arrivals = {{70'005, TimestampFromMicros(64'000)}};
  const auto result = WriteTwccFeedback(buffer, Ssrc{1}, Ssrc{2}, 3, 70'000, arrivals);
  const TwccFeedbackView view = ParseOne(ByteView(buffer).first(result.size));
  EXPECT_EQ(view.feedback_count(), 3);
  EXPECT_EQ(view.status_count(), 6);
  EXPECT_EQ(view.reference_time(), 1);
  size_t lost = 0;
  view.ForEach([&](uint16_t, std::optional<Duration> time) { lost += !time; });
  EXPECT_EQ(lost, 5u);
}

// draft §3.1: a handwritten packet with a run of two received, a two-bit vector and a one-bit vector.
TEST(TwccFeedback, ReadsAllKindsOfChunks) {
  const Bytes body = {0,           0,    0,    1,    0,    0,    0, 2,    0,
                      10,          0,    11,   0xFF, 0xFF, 0xFF, 9, 0x20, 0x02,  // run: two small deltas
                      0xC0 | 0x24, 0x00,  // two-bit: large, small, then five lost
                      0xA0,        0x00,  // one-bit: received first of the last two
                      4,           8,    0xFF, 0xFC, 4,    4,    0, 0};
  const auto view = TwccFeedbackView::Parse(body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->reference_time(), -1);
  std::vector<std::optional<int64_t>> ticks;
  view->ForEach([&](uint16_t, std::optional<Duration> time) {
    ticks.push_back(time ? std::optional((*time + kTwccReferenceUnit).count() / 250) : std::nullopt);
  });
  const std::optional<int64_t> lost;
  EXPECT_EQ(ticks,
            (std::vector<std::optional<int64_t>>{4, 12, 8, 12, lost, lost, lost, lost, lost, 16, lost}));
}

TEST(TwccFeedback, RejectsIncompleteFeedback) {
  const Bytes body = {0, 0, 0, 1, 0, 0, 0, 2, 0, 10, 0, 3, 0, 0, 0, 9, 0x20, 0x03, 1, 2, 3};
  ASSERT_TRUE(TwccFeedbackView::Parse(body));
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(TwccFeedbackView::Parse(ByteView(body).first(size))) << size;
  }
  Bytes endless = body;
  endless[16] = 0;
  endless[17] = 0;  // a run of nothing
  EXPECT_FALSE(TwccFeedbackView::Parse(endless));
}

}  // namespace
}  // namespace nexus
