// Runs of a batch: what joins them, what ends them, and in which order they leave.
#include "engine/transmit/run_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace nexus {
namespace {

SocketAddress To(uint16_t port) { return *SocketAddress::Parse("192.0.2.9", port); }

std::vector<size_t> RunLengths(const RunBuilder& batch) {
  std::vector<size_t> lengths;
  for (const TransmitRun& run : batch.runs()) lengths.push_back(run.count);
  return lengths;
}

TEST(RunBuilder, AShorterPacketEndsARunAndALongerOneBeginsTheNext) {
  RunBuilder batch;
  RunCursor cursor;
  for (const size_t size : {100, 100, 90, 90, 95, 95, 95}) {
    ASSERT_TRUE(batch.Append(cursor, To(1), std::vector<uint8_t>(size)));
  }
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{3, 1, 3}));
}

TEST(RunBuilder, InterleavedDestinationsKeepTheirOwnRuns) {
  RunBuilder batch;
  std::array<RunCursor, 3> cursors;
  for (uint8_t round = 0; round < 5; ++round) {
    for (uint16_t i = 0; i < 3; ++i) batch.Append(cursors[i], To(i), std::vector<uint8_t>(50, round));
  }
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{5, 5, 5}));
  for (const TransmitRun& run : batch.runs()) {
    uint8_t expected = 0;
    for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
      EXPECT_EQ(batch.packet(i).bytes[0], expected++);
    }
  }
}

TEST(RunBuilder, ARunHasAtMost64SegmentsAndFitsADatagram) {
  RunBuilder batch;
  RunCursor small;
  for (int i = 0; i < 130; ++i) batch.Append(small, To(1), std::vector<uint8_t>(10));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{64, 64, 2}));
  batch.Clear();
  RunCursor large;
  for (int i = 0; i < 60; ++i) batch.Append(large, To(1), std::vector<uint8_t>(1400));
  for (const TransmitRun& run : batch.runs()) EXPECT_LE(run.bytes, kMaxRunBytes);
  EXPECT_EQ(batch.runs().size(), 2u);
}

// As SRTP leaves it: the SSRC is readable. The number tells where in its stream it stands.
std::vector<uint8_t> Media(uint32_t ssrc, uint16_t number, size_t size) {
  std::vector<uint8_t> packet(size);
  ByteWriter writer(packet);
  writer.U8(0x80), writer.U8(96), writer.U16(number), writer.U32(0), writer.U32(ssrc);
  return packet;
}

TEST(RunBuilder, AudioThatPrecedesAVideoFrameIsSentAfterIt) {
  RunBuilder batch;
  RunCursor cursor;
  batch.Append(cursor, To(1), Media(1, 0, 80));
  for (uint16_t i = 0; i < 5; ++i) batch.Append(cursor, To(1), Media(2, i, 1'000));
  ASSERT_EQ(RunLengths(batch), (std::vector<size_t>{1, 5}));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{0, 6}));
  EXPECT_EQ(batch.packet(batch.runs()[1].last).size, 80);
}

TEST(RunBuilder, AudioWhosePlaceIsTakenIsSentAfterAnotherFrame) {
  RunBuilder batch;
  RunCursor cursor;
  for (uint16_t i = 0; i < 3; ++i) batch.Append(cursor, To(1), Media(1, i, 1'000));
  for (uint16_t i = 0; i < 3; ++i) batch.Append(cursor, To(1), Media(2, i, 1'100));
  batch.Append(cursor, To(1), Media(3, 0, 80));
  batch.Append(cursor, To(1), Media(4, 0, 80));
  ASSERT_EQ(RunLengths(batch), (std::vector<size_t>{3, 4, 1}));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{4, 4, 0}));
}

TEST(RunBuilder, NothingOvertakesItsOwnStream) {
  RunBuilder batch;
  RunCursor cursor;
  batch.Append(cursor, To(1), Media(1, 0, 80));
  batch.Append(cursor, To(1), Media(1, 1, 90));
  batch.Append(cursor, To(1), Media(1, 2, 100));
  batch.Arrange();
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1, 1, 1}));
}

TEST(RunBuilder, ArrangedBatchesKeepEveryPacketEveryStreamsOrderAndTheRulesOfRuns) {
  std::mt19937 random(7);
  for (int round = 0; round < 2'000; ++round) {
    RunBuilder batch;
    std::array<RunCursor, 2> cursors;
    std::map<uint32_t, uint16_t> sent;
    for (size_t i = random() % 30; i > 0; --i) {
      const uint32_t ssrc = 1 + random() % 6;
      const size_t size = random() % 2 ? 60 + random() % 3 : 1'000 + random() % 3;
      batch.Append(cursors[ssrc % 2], To(ssrc % 2), Media(ssrc, sent[ssrc]++, size));
    }
    const size_t before = batch.runs().size();
    batch.Arrange();
    std::map<uint32_t, uint16_t> seen;
    size_t runs = 0;
    for (const TransmitRun& run : batch.runs()) {
      runs += run.count > 0;
      size_t packets = 0;
      size_t bytes = 0;
      for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
        const TransmitPacket& packet = batch.packet(i);
        ByteReader reader(ByteView(packet.bytes, packet.size).subspan(2));
        const uint16_t number = reader.U16();
        reader.U32();
        const uint32_t ssrc = reader.U32();
        EXPECT_EQ(number, seen[ssrc]++);
        EXPECT_EQ(run.destination, To(ssrc % 2));
        EXPECT_LE(packet.size, run.segment_size);
        EXPECT_TRUE(packet.next == kNoPacket || packet.size == run.segment_size);
        ++packets;
        bytes += packet.size;
      }
      EXPECT_EQ(packets, run.count);
      EXPECT_EQ(bytes, run.count > 0 ? run.bytes : 0);
    }
    EXPECT_EQ(seen, sent);
    EXPECT_LE(runs, before);
  }
}

TEST(RunBuilder, IsBoundedAndUsableAgainAfterClear) {
  RunBuilder batch(512 << 10);
  RunCursor cursor;
  size_t taken = 0;
  while (batch.Append(cursor, To(1), std::vector<uint8_t>(1200))) ++taken;
  EXPECT_GT(taken, 400u);
  EXPECT_LE(taken * 1200, 512u << 10);
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  // An old cursor means nothing in a new batch.
  EXPECT_TRUE(batch.Append(cursor, To(1), std::vector<uint8_t>(1200)));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1}));
}

TEST(RunBuilder, SinglesAreNeverJoined) {
  RunBuilder batch;
  RunCursor cursor;
  batch.AppendSingle(To(1), std::vector<uint8_t>(20));
  batch.AppendSingle(To(1), std::vector<uint8_t>(20));
  batch.Append(cursor, To(1), std::vector<uint8_t>(20));
  EXPECT_EQ(RunLengths(batch), (std::vector<size_t>{1, 1, 1}));
}

}  // namespace
}  // namespace nexus
