// The records that a named tap keeps: resumption after any position, acknowledgement, and its bounds.
#include "engine/tap/retained_records.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/tap/tap_encoder.h"
#include "engine/tap/tap_outbox.h"
#include "testing/tap_reading.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::TapReading;
using testing::TapRecord;

constexpr TapId kTap{1};

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1'000); }

// Writes one packet every 20 ms, `per_batch` in a batch.
struct Writer {
  explicit Writer(RetainedRecords& into) : kept(into) {}
  void Source() { encoder.AddSource(TapSource{Codec::kOpus, PayloadType{111}, 48'000, Ssrc{7}, "", ""}); }
  void Packets(int count, int per_batch = 1) {
    const std::vector<uint8_t> payload(100, 0xAB);
    for (int i = 0; i < count; ++i) {
      SourcePacket packet;
      packet.sequence_number = ++sequence;
      packet.media_time = At(now_ms += 20);
      packet.payload = payload;
      encoder.AddPacket(packet, true);
      if ((i + 1) % per_batch == 0) kept.Push(encoder.Take(), At(now_ms));
    }
  }
  RetainedRecords& kept;
  TapEncoder encoder{kTap, 1'000'000'000};
  int64_t sequence = 0;
  int64_t now_ms = 0;
};

// Everything that the reader receives now.
TapReading ReadAll(RetainedRecords& kept, uint64_t* position = nullptr) {
  TapReading reading;
  while (const auto batch = kept.Next()) {
    reading.Add(*batch);
    if (position != nullptr) *position = batch->position;
  }
  return reading;
}

std::vector<int64_t> Sequences(const TapReading& reading) {
  std::vector<int64_t> numbers;
  for (const TapRecord& packet : reading.Of(TapRecord::kPacket)) numbers.push_back(packet.sequence());
  return numbers;
}

TEST(RetainedRecords, ASecondReaderContinuesAfterThePositionOfTheFirst) {
  RetainedRecords kept(seconds(30), 1 << 20, 0);
  Writer writer(kept);
  writer.Source();
  writer.Packets(10);
  uint64_t position = 0;
  EXPECT_EQ(Sequences(ReadAll(kept, &position)).size(), 10u);
  EXPECT_EQ(position, 11u);  // the source and ten packets
  writer.Packets(3);
  kept.ResumeAfter(position - 2);
  const TapReading again = ReadAll(kept, &position);
  EXPECT_EQ(again.records.front().kind, TapRecord::kSource);
  EXPECT_EQ(Sequences(again), (std::vector<int64_t>{9, 10, 11, 12, 13}));
  EXPECT_TRUE(again.Of(TapRecord::kGap).empty());
  EXPECT_EQ(position, 14u);
}

TEST(RetainedRecords, AcknowledgedRecordsAreFreedAndTheirStateIsKept) {
  RetainedRecords kept(seconds(30), 1 << 20, 0);
  Writer writer(kept);
  writer.Source();
  writer.Packets(10);
  kept.Acknowledge(6);
  EXPECT_EQ(kept.record_count(), 5u);
  kept.ResumeAfter(0);  // older than what is kept: acknowledged records are no gap
  const TapReading reading = ReadAll(kept);
  EXPECT_EQ(reading.records.front().kind, TapRecord::kSource);
  EXPECT_EQ(Sequences(reading), (std::vector<int64_t>{6, 7, 8, 9, 10}));
  EXPECT_TRUE(reading.Of(TapRecord::kGap).empty());
  kept.Acknowledge(11);
  EXPECT_EQ(kept.bytes(), 0u);
  EXPECT_EQ(kept.packets_dropped(), 0u);
}

TEST(RetainedRecords, WhatIsOlderThanTheRetentionBecomesAGapWithItsTimes) {
  RetainedRecords kept(milliseconds(100), 1 << 20, 0);
  Writer writer(kept);
  writer.Source();
  writer.Packets(20);  // 400 ms
  const TapReading reading = ReadAll(kept);
  const auto gaps = reading.Of(TapRecord::kGap);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].number(1), static_cast<uint64_t>(GapReason::kRetention));
  EXPECT_EQ(gaps[0].integer(2), 1);
  EXPECT_EQ(gaps[0].integer(3), 14);
  EXPECT_EQ(gaps[0].number(4), 14u);
  EXPECT_EQ(gaps[0].integer(5), 0);  // nothing was before
  EXPECT_EQ(gaps[0].integer(6), 1'000'000'000 + 15 * 20'000);
  EXPECT_EQ(Sequences(reading).front(), 15);
  EXPECT_EQ(kept.packets_dropped(), 14u);
  EXPECT_EQ(reading.Faults(false), "");
}

TEST(RetainedRecords, AReaderGetsNoGapForDroppedRecordsThatItHas) {
  RetainedRecords kept(milliseconds(100), 1 << 20, 0);
  Writer writer(kept);
  writer.Source();
  for (int i = 0; i < 50; ++i) {
    writer.Packets(1);
    const TapReading reading = ReadAll(kept);
    EXPECT_TRUE(reading.Of(TapRecord::kGap).empty());
    EXPECT_EQ(Sequences(reading).size(), 1u);
  }
  // A reader that begins again before the kept records gets a gap of exactly the ones that it misses.
  kept.ResumeAfter(11);
  const TapReading again = ReadAll(kept);
  const auto gaps = again.Of(TapRecord::kGap);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].integer(2), 11);
  EXPECT_EQ(gaps[0].integer(3), 44);
}

TEST(RetainedRecords, ANewTapOfAnOldNameBeginsWithAGap) {
  RetainedRecords kept(seconds(1), 1 << 20, 500);
  kept.ResumeAfter(500);
  Writer writer(kept);
  writer.Source();
  writer.Packets(1);
  uint64_t position = 0;
  const TapReading reading = ReadAll(kept, &position);
  ASSERT_FALSE(reading.Of(TapRecord::kGap).empty());
  EXPECT_EQ(reading.records[0].kind, TapRecord::kGap);
  EXPECT_EQ(reading.records[1].kind, TapRecord::kSource);
  EXPECT_EQ(position, 503u);
}

TEST(RetainedRecords, ATrackThatHasEndedStaysUntilItsLastRecordIsRead) {
  RetainedRecords kept(seconds(30), 1 << 20, 0);
  Writer writer(kept);
  writer.Source();
  writer.Packets(2);
  TapBatch end;
  end.tap = kTap;
  end.ended = true;
  kept.Push(end, At(100));
  EXPECT_TRUE(kept.ended());
  EXPECT_FALSE(kept.finished());
  EXPECT_EQ(Sequences(ReadAll(kept)).size(), 2u);
  EXPECT_TRUE(kept.finished());
  kept.Continue();
  EXPECT_FALSE(kept.finished());
}

// Any order of writing, reading, acknowledging, resuming and expiring: a reader that resumes after what it
// has handled receives each packet once, or a gap that covers it.
TEST(RetainedRecords, NoPacketIsLostWithoutAGap) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](uint32_t below) { return static_cast<int>(random() % below); };
    RetainedRecords kept(milliseconds(300), 4'000, 0);
    Writer writer(kept);
    writer.Source();
    uint64_t handled = 0;
    int64_t next = 1;  // the packet that the reader expects
    const auto read = [&](bool all) {
      do {
        const auto batch = kept.Next();
        if (!batch) return;
        TapReading reading;
        reading.Add(*batch);
        for (const TapRecord& record : reading.records) {
          if (record.kind == TapRecord::kGap && record.integer(3) >= next) {
            ASSERT_LE(record.integer(2), next) << "seed " << seed;
            next = record.integer(3) + 1;
          }
          if (record.kind != TapRecord::kPacket) continue;
          ASSERT_EQ(record.sequence(), next) << "seed " << seed;
          ++next;
        }
        handled = batch->position;
      } while (all);
    };
    for (int step = 0; step < 200; ++step) {
      switch (draw(6)) {
        case 0:
        case 1:
          writer.Packets(3, 1 + draw(3));
          break;
        case 2:
          read(false);
          break;
        case 3:
          kept.Acknowledge(handled);
          break;
        case 4:
          kept.ResumeAfter(handled);
          break;
        default:
          kept.Expire(At(writer.now_ms += draw(50)));
      }
      ASSERT_LE(kept.bytes(), 4'000u);
    }
    kept.ResumeAfter(handled);
    read(true);
  }
}

TEST(TapOutbox, NamedTapsShareABoundOfMemory) {
  TapOutbox outbox;
  for (uint32_t tap = 1; tap <= 3; ++tap) outbox.OpenRetained(TapId{tap}, seconds(60), 0);
  for (int64_t i = 1; i <= 90; ++i) {
    TapEncoder encoder(TapId{static_cast<uint32_t>(i % 3 + 1)}, 0);
    const std::vector<uint8_t> payload(1'000, 0xAB);
    SourcePacket packet;
    packet.sequence_number = i;
    packet.payload = payload;
    encoder.AddPacket(packet, true);
    outbox.Push(encoder.Take(), At(i));
    outbox.LimitRetained(30'000);
    EXPECT_LE(outbox.retained_bytes(), 30'000u);
  }
  EXPECT_GT(outbox.retained_packets_dropped(), 55u);
  for (uint32_t tap = 1; tap <= 3; ++tap) {
    EXPECT_GT(outbox.Retained(TapId{tap})->bytes(), 5'000u);
    outbox.Close(TapId{tap});
  }
  EXPECT_EQ(outbox.retained_bytes(), 0u);
}

TEST(TapOutbox, AnotherTrackContinuesANamedTap) {
  TapOutbox outbox;
  outbox.OpenRetained(kTap, seconds(60), 0);
  const auto push = [&](TapId tap, int64_t sequence, bool ended) {
    TapEncoder encoder(tap, 0);
    SourcePacket packet;
    packet.sequence_number = sequence;
    const std::vector<uint8_t> payload(10, 1);
    packet.payload = payload;
    encoder.AddPacket(packet, true);
    TapBatch batch = encoder.Take();
    batch.ended = ended;
    outbox.Push(std::move(batch), At(0));
  };
  push(kTap, 1, true);
  EXPECT_TRUE(outbox.Take(kTap, 1 << 20).ended);
  outbox.Feed(TapId{9}, kTap);
  push(TapId{9}, 100, false);
  const TapBatch taken = outbox.Take(kTap, 1 << 20);
  EXPECT_FALSE(taken.ended);
  EXPECT_EQ(taken.position, 2u);
  outbox.Close(kTap);
  push(TapId{9}, 101, false);
  EXPECT_EQ(outbox.size(), 0u);
}

}  // namespace
}  // namespace nexus
