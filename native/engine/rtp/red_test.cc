// Redundant audio: written packets can be read, and malformed ones are rejected.
#include "engine/rtp/red.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/random.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Copy(ByteView view) { return {view.begin(), view.end()}; }

TEST(Red, ReadsThePrimaryAlone) {
  const Bytes payload = {111, 1, 2};
  const auto red = ParseRed(payload);
  ASSERT_TRUE(red);
  EXPECT_EQ(red->primary_type, PayloadType{111});
  EXPECT_EQ(Copy(red->primary), (Bytes{1, 2}));
  EXPECT_TRUE(red->redundant().empty());
}

TEST(Red, ReadsBlocksInTheirOrder) {
  // Offsets 1920 and 960 in the upper 14 of 24 bits, lengths 2 and 1 in the lower ten.
  const Bytes payload = {0x80 | 111, 0x1E, 0x00, 0x02, 0x80 | 111, 0x0F, 0x00, 0x01, 111, 7, 8, 9, 1, 2, 3};
  const auto red = ParseRed(payload);
  ASSERT_TRUE(red);
  ASSERT_EQ(red->redundant().size(), 2u);
  EXPECT_EQ(red->redundant()[0].timestamp_offset, 1920);
  EXPECT_EQ(Copy(red->redundant()[0].payload), (Bytes{7, 8}));
  EXPECT_EQ(red->redundant()[1].timestamp_offset, 960);
  EXPECT_EQ(Copy(red->redundant()[1].payload), (Bytes{9}));
  EXPECT_EQ(Copy(red->primary), (Bytes{1, 2, 3}));
}

TEST(Red, RejectsTruncatedPackets) {
  const Bytes whole = {0x80 | 111, 0x0F, 0x00, 0x03, 111, 7, 8, 9};
  ASSERT_TRUE(ParseRed(whole)) << "an empty primary is valid";
  EXPECT_TRUE(ParseRed(whole)->primary.empty());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseRed(ByteView(whole).first(size))) << size;
  }
}

TEST(Red, RejectsTooManyHeaders) {
  for (const size_t count : {kMaxRedBlocks, kMaxRedBlocks + 1}) {
    Bytes payload;
    for (size_t i = 0; i < count; ++i) payload.insert(payload.end(), {0x80 | 111, 0, 0, 0});
    payload.insert(payload.end(), {111, 1});
    EXPECT_EQ(ParseRed(payload).has_value(), count <= kMaxRedBlocks);
  }
}

TEST(Red, KeepsTheNewestBlocks) {
  std::vector<Bytes> payloads;
  std::vector<RedBlock> blocks;
  for (uint8_t i = 0; i < 7; ++i) payloads.push_back({i, i});
  for (uint8_t i = 0; i < 7; ++i) {
    blocks.push_back({PayloadType{96}, static_cast<uint16_t>((7 - i) * 960), payloads[i]});
  }
  std::array<uint8_t, 100> out;
  Bytes packet = Copy(ByteView(out).first(WriteRedPrefix(out, PayloadType{96}, blocks)));
  packet.push_back(42);
  const auto red = ParseRed(packet);
  ASSERT_TRUE(red);
  ASSERT_EQ(red->redundant().size(), kKeptRedBlocks);
  EXPECT_EQ(Copy(red->redundant().back().payload), payloads[6]);
  EXPECT_EQ(red->redundant().front().timestamp_offset, kKeptRedBlocks * 960);
  EXPECT_EQ(Copy(red->primary), (Bytes{42}));
}

TEST(Red, WritesNothingBeyondTheFormatsLimits) {
  std::array<uint8_t, 2000> out;
  const Bytes long_payload(kMaxRedBlockSize + 1);
  const RedBlock too_long{PayloadType{111}, 960, long_payload};
  EXPECT_EQ(WriteRedPrefix(out, PayloadType{111}, std::span(&too_long, 1)), 0u);
  const RedBlock too_old{PayloadType{111}, kMaxRedTimestampOffset + 1, {}};
  EXPECT_EQ(WriteRedPrefix(out, PayloadType{111}, std::span(&too_old, 1)), 0u);
  const RedBlock largest{PayloadType{111}, kMaxRedTimestampOffset, ByteView(long_payload).subspan(1)};
  const size_t size = WriteRedPrefix(out, PayloadType{111}, std::span(&largest, 1));
  EXPECT_EQ(size, kRedBlockHeaderSize + kRedPrimaryHeaderSize + kMaxRedBlockSize);
  EXPECT_EQ(WriteRedPrefix(MutableByteView(out).first(size - 1), PayloadType{111}, std::span(&largest, 1)),
            0u);
}

TEST(Red, ReadsBackWhatIsWritten) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    testing::Random random(seed);
    std::vector<Bytes> payloads(random.Below(kKeptRedBlocks + 1));
    std::vector<RedBlock> blocks;
    for (Bytes& payload : payloads) {
      payload.resize(random.Below(kMaxRedBlockSize + 1));
      for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random.Next());
      blocks.push_back({PayloadType{static_cast<uint8_t>(random.Below(128))},
                        static_cast<uint16_t>(random.Below(kMaxRedTimestampOffset + 1)), payload});
    }
    Bytes packet(8000);
    packet.resize(WriteRedPrefix(packet, PayloadType{96}, blocks));
    ASSERT_FALSE(packet.empty());
    const Bytes primary = {1, 2, 3};
    packet.insert(packet.end(), primary.begin(), primary.end());
    const auto red = ParseRed(packet);
    ASSERT_TRUE(red);
    EXPECT_EQ(Copy(red->primary), primary);
    ASSERT_EQ(red->redundant().size(), blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(red->redundant()[i].payload_type, blocks[i].payload_type);
      EXPECT_EQ(red->redundant()[i].timestamp_offset, blocks[i].timestamp_offset);
      EXPECT_EQ(Copy(red->redundant()[i].payload), payloads[i]);
    }
    // A flipped bit gives another valid packet or is rejected, without reading past the end (ASan).
    packet[random.Below(packet.size())] ^= static_cast<uint8_t>(1 << random.Below(8));
    const auto other = ParseRed(packet);
    EXPECT_TRUE(!other || other->primary.size() <= packet.size());
  }
}

}  // namespace
}  // namespace nexus
