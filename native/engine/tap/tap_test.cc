// The parts of a tap: the order of packets, the backlog of a slow reader, and the end.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "engine/tap/reorder_buffer.h"
#include "engine/tap/tap_encoder.h"
#include "engine/tap/tap_outbox.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1'000); }

SourcePacket Packet(int64_t sequence, ByteView payload = {}) {
  SourcePacket packet;
  packet.sequence_number = sequence;
  packet.payload = payload;
  return packet;
}

// Formats the output as text: "5 6 [7-8] 9".
struct Reader {
  ReorderBuffer buffer{ReorderConfig{}};
  std::string out;
  void Add(std::variant<HeldPacket, SequenceGap> item) {
    if (const auto* gap = std::get_if<SequenceGap>(&item)) {
      out += "[" + std::to_string(gap->first) + "-" + std::to_string(gap->last) + "] ";
    } else {
      out += std::to_string(std::get<HeldPacket>(item).packet.sequence_number) + " ";
    }
  }
  void Insert(int64_t sequence, int64_t ms) {
    if (buffer.Insert(Packet(sequence), 0, At(ms)) == ReorderBuffer::Outcome::kInOrder) {
      out += std::to_string(sequence) + " ";
    }
    Poll(ms);
  }
  void Poll(int64_t ms) {
    while (auto item = buffer.Poll(At(ms))) Add(*std::move(item));
  }
};

TEST(ReorderBuffer, OrdersPacketsThatArriveWithinPatience) {
  Reader reader;
  for (const int64_t sequence : {5, 7, 8, 6, 9, 12, 11, 10}) reader.Insert(sequence, 0);
  EXPECT_EQ(reader.out, "5 6 7 8 9 10 11 12 ");
  EXPECT_EQ(reader.buffer.held_bytes(), 0u);
  EXPECT_EQ(reader.buffer.next_deadline(), kNever);
}

TEST(ReorderBuffer, GivesUpAHoleOnlyAfterPatience) {
  Reader reader;
  reader.Insert(5, 0);
  reader.Insert(8, 10);
  reader.Insert(9, 500);
  EXPECT_EQ(reader.buffer.next_deadline(), At(1'510));
  reader.Poll(1'509);
  EXPECT_EQ(reader.out, "5 ");
  reader.Poll(1'510);
  EXPECT_EQ(reader.out, "5 [6-7] 8 9 ");
}

TEST(ReorderBuffer, EachHoleHasItsOwnAge) {
  Reader reader;
  reader.Insert(5, 0);
  reader.Insert(7, 10);
  reader.Insert(9, 1'000);
  reader.Poll(1'510);
  EXPECT_EQ(reader.out, "5 [6-6] 7 ");
  EXPECT_EQ(reader.buffer.next_deadline(), At(2'500));
  reader.Insert(8, 2'499);
  EXPECT_EQ(reader.out, "5 [6-6] 7 8 9 ");
}

TEST(ReorderBuffer, PartialFillingDoesNotRenewTheRestOfAHole) {
  Reader reader;
  reader.Insert(5, 0);
  reader.Insert(9, 10);
  reader.Insert(7, 1'000);
  reader.Poll(1'510);
  EXPECT_EQ(reader.out, "5 [6-6] 7 [8-8] 9 ");
}

TEST(ReorderBuffer, PassesNoDuplicateOrLatePacket) {
  Reader reader;
  for (const int64_t sequence : {5, 6, 6, 5, 8, 8, 7, 8}) reader.Insert(sequence, 0);
  EXPECT_EQ(reader.out, "5 6 7 8 ");
  EXPECT_EQ(reader.buffer.late(), 4u);
}

TEST(ReorderBuffer, BoundsWhatIsHeld) {
  ReorderConfig config;
  config.max_bytes = 20'000;
  ReorderBuffer buffer(config);
  const std::vector<uint8_t> payload(1'000);
  buffer.Insert(Packet(1, payload), 0, At(0));
  size_t gaps = 0;
  for (int64_t sequence = 3; sequence < 3'000; sequence += 2) {
    buffer.Insert(Packet(sequence, payload), 0, At(0));
    while (auto item = buffer.Poll(At(0))) gaps += std::holds_alternative<SequenceGap>(*item) ? 1 : 0;
    EXPECT_LE(buffer.held_bytes(), config.max_bytes);
  }
  EXPECT_GT(gaps, 1'400u);
}

TEST(ReorderBuffer, ALargeJumpIsARestartOfTheStream) {
  ReorderBuffer buffer{ReorderConfig{}};
  EXPECT_EQ(buffer.Insert(Packet(100), 0, At(0)), ReorderBuffer::Outcome::kInOrder);
  EXPECT_EQ(buffer.Insert(Packet(5'000), 0, At(0)), ReorderBuffer::Outcome::kRestart);
  EXPECT_EQ(buffer.Insert(Packet(-5'000), 0, At(0)), ReorderBuffer::Outcome::kRestart);
  buffer.Restart();
  EXPECT_EQ(buffer.Insert(Packet(5'000), 0, At(0)), ReorderBuffer::Outcome::kInOrder);
}

// Compares with a naive model: every number between the first and the last comes out once and in order, as a
// packet or in a gap, and a number that was received in time is never in a gap.
TEST(ReorderBuffer, AccountsForEveryNumber) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Reader reader;
    std::vector<std::pair<int64_t, int64_t>> arrivals;  // time, number
    std::vector<bool> sent(2'000, true);
    for (int64_t i = 0; i < 2'000; ++i) {
      sent[static_cast<size_t>(i)] = i == 0 || random() % 20 != 0;
      if (sent[static_cast<size_t>(i)])
        arrivals.push_back({i * 4 + static_cast<int64_t>(i == 0 ? 0 : random() % 300), i});
    }
    std::sort(arrivals.begin(), arrivals.end());
    ReorderBuffer buffer{ReorderConfig{}};
    int64_t next = 0;
    const auto take = [&](int64_t first, int64_t last, bool gap) {
      EXPECT_EQ(first, next);
      for (int64_t i = first; i <= last; ++i) EXPECT_EQ(sent[static_cast<size_t>(i)], !gap) << i;
      next = last + 1;
    };
    for (const auto& [ms, sequence] : arrivals) {
      if (buffer.Insert(Packet(sequence), 0, At(ms)) == ReorderBuffer::Outcome::kInOrder)
        take(sequence, sequence, false);
      while (auto item = buffer.Poll(At(ms))) {
        const auto* gap = std::get_if<SequenceGap>(&*item);
        if (gap != nullptr) {
          take(gap->first, gap->last, true);
        } else {
          const int64_t number = std::get<HeldPacket>(*item).packet.sequence_number;
          take(number, number, false);
        }
      }
    }
  }
}

TapBatch Batch(int64_t sequence, size_t payload_size) {
  TapEncoder encoder(TapId{1}, 0);
  const std::vector<uint8_t> payload(payload_size, 0xAB);
  encoder.AddPacket(Packet(sequence, payload), false);
  return encoder.Take();
}

TEST(TapBacklog, ReplacesTheOldestBatchesByOneGapForASlowReader) {
  TapBacklog backlog(10'000);
  TapEncoder encoder(TapId{1}, 0);
  encoder.AddSource(TapSource{Codec::kVp8, PayloadType{96}, 90'000, Ssrc{7}, ""});
  const std::vector<uint8_t> source = [&] {
    TapBatch batch = encoder.Take();
    const std::vector<uint8_t> bytes = batch.records;
    backlog.Push(std::move(batch));
    return bytes;
  }();
  for (int64_t i = 1; i <= 100; ++i) {
    backlog.Push(Batch(i, 1'000));
    EXPECT_LE(backlog.bytes(), 10'000u);
  }
  const auto lost = backlog.Pop();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->packets_dropped, 91u);
  std::vector<uint8_t> expected = EncodeGap({GapReason::kSlowReader, 1, 91}, 91);
  expected.insert(expected.end(), source.begin(), source.end());
  EXPECT_EQ(lost->records, expected);
  EXPECT_EQ(backlog.Pop()->first_sequence, 92);
}

// The second backlog (the edge's) drops batches that contain gaps of the first (the core's): one gap covers
// all of them.
TEST(TapBacklog, GapsOfGapsAddUp) {
  TapBacklog first(3'000);
  for (int64_t i = 1; i <= 10; ++i) first.Push(Batch(i, 1'000));
  TapBacklog second(1'500);
  while (auto batch = first.Pop()) second.Push(*std::move(batch));
  const auto lost = second.Pop();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->packets_dropped, 9u);
  EXPECT_EQ(lost->first_sequence, 1);
  EXPECT_EQ(lost->last_sequence, 9);
  EXPECT_EQ(second.Pop()->first_sequence, 10);
}

TEST(TapOutbox, ATapEndsWithItsLastBatch) {
  TapOutbox outbox;
  outbox.Push(Batch(1, 10));  // no such tap
  EXPECT_FALSE(outbox.Poll());
  outbox.Open(TapId{1}, 1'000);
  outbox.Push(Batch(1, 10));
  TapBatch end;
  end.tap = TapId{1};
  end.ended = true;
  outbox.Push(end);
  EXPECT_EQ(outbox.TakeReady(), std::vector<TapId>{TapId{1}});
  EXPECT_TRUE(outbox.TakeReady().empty());
  const TapBatch taken = outbox.Take(TapId{1}, 1 << 20);
  EXPECT_EQ(taken.packets, 1u);
  EXPECT_TRUE(taken.ended);
  EXPECT_EQ(outbox.size(), 0u);
  EXPECT_TRUE(outbox.Take(TapId{1}, 1).records.empty());
}

TEST(TapOutbox, PollVisitsAllTapsWithRecords) {
  TapOutbox outbox;
  for (uint32_t tap = 1; tap <= 3; ++tap) outbox.Open(TapId{tap}, 1'000);
  for (uint32_t tap = 1; tap <= 3; ++tap) {
    TapBatch batch = Batch(tap, 10);
    batch.tap = TapId{tap};
    outbox.Push(batch);
    outbox.Push(std::move(batch));
  }
  size_t polled = 0;
  while (outbox.Poll()) ++polled;
  EXPECT_EQ(polled, 6u);
  EXPECT_EQ(outbox.bytes(), 0u);
}

}  // namespace
}  // namespace nexus
