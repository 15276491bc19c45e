// Hard problem 21: redundancy for subscribers with RED, with the numbers and times of their slot.
#include "engine/forward/red_sender.h"

#include <gtest/gtest.h>

#include <vector>

namespace nexus {
namespace {

constexpr LayerId kLayer{7};
constexpr PayloadType kOpus{111};
constexpr uint32_t kFrame = 960;

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1000); }

// A slot that has sent some packets of one source, with numbers and times far from the source's.
struct SlotOfOneSource {
  SlotHistory history{{128, 5, Duration(10'000)}};
  PacketRing ring{{256, Duration(2'000'000)}};
  std::vector<std::vector<uint8_t>> payloads;
  Rewritten last;
  const SourcePacket* packet = nullptr;

  SlotOfOneSource() { payloads.reserve(100); }
  void Send(int64_t out, uint32_t timestamp, size_t size, uint32_t csrc = 1, LayerId layer = kLayer) {
    const int64_t source = out + 5000;
    payloads.emplace_back(size, static_cast<uint8_t>(out));
    SourcePacket given;
    given.sequence_number = source;
    given.payload = payloads.back();
    ring.Insert(given, packet);
    last = Rewritten{};
    last.sequence_number = out;
    last.timestamp = timestamp;
    last.csrc = csrc;
    history.OnSent(layer, source, last);
  }
  std::optional<RedPacket> Write(size_t distance) {
    const ByteView prefix = WriteRedundancy(scratch, history, kLayer, ring, *packet, last, kOpus, distance);
    if (prefix.empty()) return std::nullopt;
    whole.assign(prefix.begin(), prefix.end());
    whole.insert(whole.end(), packet->payload.begin(), packet->payload.end());
    return ParseRed(whole);
  }
  std::array<uint8_t, kMaxRedPrefixSize> scratch;
  std::vector<uint8_t> whole;
};

TEST(RedSender, RepeatsEarlierPacketsOldestFirst) {
  for (int64_t first = 65'530; first < 65'540; ++first) {
    SlotOfOneSource slot;
    for (int64_t i = 0; i < 4; ++i) {
      slot.Send(first + i, 0xFFFFFF00u + static_cast<uint32_t>(i) * kFrame, 80 + static_cast<size_t>(i));
    }
    const auto red = slot.Write(2);
    ASSERT_TRUE(red);
    ASSERT_EQ(red->redundant().size(), 2u);
    EXPECT_EQ(red->redundant()[0].timestamp_offset, 2 * kFrame);
    EXPECT_EQ(red->redundant()[0].payload.size(), 81u);
    EXPECT_EQ(red->redundant()[1].timestamp_offset, kFrame);
    EXPECT_EQ(red->redundant()[1].payload.size(), 82u);
    EXPECT_EQ(red->primary.size(), 83u);
    EXPECT_EQ(red->primary_type, kOpus);
    ASSERT_TRUE(slot.Write(1));
    EXPECT_EQ(slot.Write(1)->redundant().size(), 1u);
    EXPECT_FALSE(slot.Write(0));
  }
}

TEST(RedSender, RepeatsOnlyPacketsOfOneSource) {
  SlotOfOneSource slot;
  slot.Send(100, 0, 80, 2, LayerId{8});
  slot.Send(101, kFrame, 80);
  EXPECT_FALSE(slot.Write(2)) << "the other source's packet would get this CSRC";
  slot.Send(102, 2 * kFrame, 80);
  ASSERT_TRUE(slot.Write(2));
  EXPECT_EQ(slot.Write(2)->redundant().size(), 1u);
}

TEST(RedSender, StopsAtANumberThatWasNeverSent) {
  SlotOfOneSource slot;
  slot.Send(100, 0, 80);
  slot.Send(102, 2 * kFrame, 80);
  EXPECT_FALSE(slot.Write(2)) << "receivers may number blocks by their position";
  SlotOfOneSource first;
  first.Send(0, 0, 80);
  EXPECT_FALSE(first.Write(2));
}

// DTX: after a long silence the offset does not fit into 14 bits.
TEST(RedSender, RepeatsNothingAcrossALongSilence) {
  SlotOfOneSource slot;
  slot.Send(100, 0, 80);
  slot.Send(101, kMaxRedTimestampOffset, 2);
  EXPECT_TRUE(slot.Write(1)) << "341 ms fit";
  slot.Send(102, 2 * kMaxRedTimestampOffset + 1, 2);
  EXPECT_FALSE(slot.Write(1));
}

TEST(RedSender, AddsNothingToLargePackets) {
  SlotOfOneSource slot;
  slot.Send(100, 0, 600);
  slot.Send(101, kFrame, kMaxRedPayload - 600);
  EXPECT_TRUE(slot.Write(1));
  slot.Send(102, 2 * kFrame, kMaxRedPayload);
  EXPECT_FALSE(slot.Write(1));
  slot.Send(103, 3 * kFrame, 1);
  EXPECT_FALSE(slot.Write(1));
}

TEST(RedSender, PassesThePublishersRedundancyOnAndAddsItUnderLoss) {
  RedSender sender;
  EXPECT_EQ(sender.Distance(true, At(0)), 1u);
  EXPECT_EQ(sender.Distance(false, At(0)), 0u);
  sender.OnFractionLost(4, At(0));
  EXPECT_EQ(sender.Distance(false, At(0)), 0u) << "less than 2 %";
  sender.OnFractionLost(5, At(1000));
  EXPECT_EQ(sender.Distance(false, At(1000)), 1u);
  sender.OnFractionLost(0, At(2000));
  EXPECT_EQ(sender.Distance(false, At(10'999)), 1u) << "loss comes in bursts: it is remembered";
  EXPECT_EQ(sender.Distance(false, At(11'000)), 0u);
  sender.OnFractionLost(26, At(12'000));
  EXPECT_EQ(sender.Distance(true, At(12'000)), 2u);
  EXPECT_EQ(sender.Distance(false, At(12'000)), 2u);
}

TEST(RedSender, UsesTheConfiguredDistance) {
  RedSender off({.distance = 0});
  off.OnFractionLost(200, At(0));
  EXPECT_EQ(off.Distance(true, At(0)), 0u);
  RedSender far({.distance = 2});
  EXPECT_EQ(far.Distance(true, At(0)), 2u);
  far.OnFractionLost(200, At(0));
  EXPECT_EQ(far.Distance(true, At(0)), kMaxRedDistance);
}

}  // namespace
}  // namespace nexus
