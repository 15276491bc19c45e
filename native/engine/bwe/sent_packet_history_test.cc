// Sent packets and their feedback: repeated, late and unknown numbers, and the bound of the table.
#include "engine/bwe/sent_packet_history.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

TEST(SentPacketHistory, ReportsEachPacketOnceAndALateOneAgain) {
  SentPacketHistory history;
  const Timestamp now = TimestampFromMicros(5'000'000);
  for (int64_t n = 70'000; n < 70'010; ++n) history.OnSent(n, {now, 1'000, 3});
  EXPECT_EQ(history.in_flight_bytes(), 10'000u);
  SentRecord record;
  EXPECT_EQ(history.OnFeedback(70'001, true, record), FeedbackOutcome::kReceived);
  EXPECT_EQ(record.sent, now);
  EXPECT_EQ(record.size, 1'000);
  EXPECT_EQ(record.cluster, 3);
  EXPECT_EQ(history.OnFeedback(70'001, true, record), FeedbackOutcome::kRepeated);
  EXPECT_EQ(history.OnFeedback(70'001, false, record), FeedbackOutcome::kRepeated);
  EXPECT_EQ(history.OnFeedback(70'002, false, record), FeedbackOutcome::kLost);
  EXPECT_EQ(history.OnFeedback(70'002, true, record), FeedbackOutcome::kRecovered);
  EXPECT_EQ(history.OnFeedback(70'010, true, record), FeedbackOutcome::kUnknown);
  EXPECT_EQ(history.in_flight_bytes(), 8'000u);
}

TEST(SentPacketHistory, UnwrapsOnlySentNumbers) {
  SentPacketHistory history;
  history.OnSent(65'536 + 10, {});
  EXPECT_EQ(history.Unwrap(10), 65'546);
  EXPECT_EQ(history.Unwrap(65'530), 65'530);
  EXPECT_FALSE(history.Unwrap(11));
}

TEST(SentPacketHistory, GrowsWithThePacketsInFlightUpToItsBound) {
  SentPacketHistory history(1'024);
  for (int64_t n = 0; n < 100; ++n) history.OnSent(n, {});
  EXPECT_EQ(history.capacity(), 128u);
  for (int64_t n = 100; n < 5'000; ++n) history.OnSent(n, {TimestampFromMicros(n), 1, 0});
  EXPECT_EQ(history.capacity(), 1'024u);
  EXPECT_EQ(history.forgotten(), 5'000u - 1'024u);
  SentRecord record;
  EXPECT_EQ(history.OnFeedback(3'000, true, record), FeedbackOutcome::kUnknown);
  for (int64_t n = 5'000 - 1'024; n < 5'000; ++n) {
    ASSERT_EQ(history.OnFeedback(n, true, record), FeedbackOutcome::kReceived);
    ASSERT_EQ(record.sent, TimestampFromMicros(n));
  }
  EXPECT_EQ(history.in_flight_bytes(), 0u);
}

}  // namespace
}  // namespace nexus
