// Hard problem 21: packets lost on the way to the SFU are recovered from a later one, with their original
// number and time.
#include "engine/forward/red_recovery.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "testing/random.h"

namespace nexus {
namespace {

constexpr int64_t kFrame = 960;  // 20 ms at 48 kHz
constexpr PayloadType kOpus{111};

// One stream with its sender's numbers; arriving packets are put into the ring.
class Stream {
 public:
  explicit Stream(int64_t first) : next_(first) {}

  // Packets that were never sent do not exist: silence is only a jump in time.
  void Silence(int64_t frames) { timestamp_ += frames * kFrame; }
  void Send() {
    packets_[next_] = {timestamp_, {static_cast<uint8_t>(next_), static_cast<uint8_t>(next_ >> 8), 7}};
    timestamp_ += kFrame;
    ++next_;
  }
  int64_t last() const { return next_ - 1; }

  // The packet arrives with up to `distance` earlier ones; returns those that were lost.
  std::vector<LostAudio> Arrive(int64_t sequence, size_t distance) {
    const Sent& sent = packets_.at(sequence);
    RedPacket red;
    red.primary_type = kOpus;
    red.primary = sent.payload;
    for (size_t d = distance; d > 0; --d) {
      const auto earlier = packets_.find(sequence - static_cast<int64_t>(d));
      if (earlier == packets_.end()) continue;
      const int64_t offset = sent.timestamp - earlier->second.timestamp;
      if (offset > kMaxRedTimestampOffset) continue;
      red.blocks[red.block_count++] = {kOpus, static_cast<uint16_t>(offset), earlier->second.payload};
    }
    const SourcePacket* stored = Store(sequence, sent.timestamp, sent.payload);
    if (stored == nullptr) return {};
    std::array<LostAudio, kKeptRedBlocks> lost;
    const size_t count = FindLostAudio(ring_, red, *stored, lost);
    for (size_t i = 0; i < count; ++i) Store(lost[i].sequence_number, lost[i].timestamp, lost[i].payload);
    return {lost.begin(), lost.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  void ExpectIsTrue(const LostAudio& lost) const {
    const auto sent = packets_.find(lost.sequence_number);
    ASSERT_NE(sent, packets_.end());
    EXPECT_EQ(lost.timestamp, sent->second.timestamp);
    EXPECT_EQ(std::vector<uint8_t>(lost.payload.begin(), lost.payload.end()), sent->second.payload);
  }
  bool Has(int64_t sequence) const { return ring_.Find(sequence) != nullptr; }

 private:
  struct Sent {
    int64_t timestamp;
    std::vector<uint8_t> payload;
  };
  const SourcePacket* Store(int64_t sequence, int64_t timestamp, ByteView payload) {
    SourcePacket packet;
    packet.sequence_number = sequence;
    packet.timestamp = timestamp;
    packet.payload = payload;
    const SourcePacket* stored = nullptr;
    ring_.Insert(packet, stored);
    return stored;
  }

  int64_t next_;
  int64_t timestamp_ = 1'000'000;
  std::map<int64_t, Sent> packets_;
  PacketRing ring_{{256, Duration(2'000'000)}};
};

TEST(RedRecovery, RecoversOneLostPacket) {
  for (int64_t first = 131'060; first < 131'080; ++first) {
    Stream stream(first);
    for (int i = 0; i < 3; ++i) stream.Send();
    EXPECT_TRUE(stream.Arrive(first, 1).empty());
    const auto lost = stream.Arrive(first + 2, 1);
    ASSERT_EQ(lost.size(), 1u);
    EXPECT_EQ(lost[0].sequence_number, first + 1);
    stream.ExpectIsTrue(lost[0]);
    EXPECT_TRUE(stream.Arrive(first + 1, 1).empty()) << "it was only late, and is a duplicate now";
  }
}

TEST(RedRecovery, RecoversOnlyTheRedundantPartOfABurst) {
  Stream stream(70'000);
  for (int i = 0; i < 6; ++i) stream.Send();
  stream.Arrive(70'000, 2);
  const auto lost = stream.Arrive(70'005, 2);
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_EQ(lost[0].sequence_number, 70'003);
  EXPECT_EQ(lost[1].sequence_number, 70'004);
}

TEST(RedRecovery, RecoversNothingBeforeTheStart) {
  Stream stream(70'000);
  for (int i = 0; i < 3; ++i) stream.Send();
  EXPECT_TRUE(stream.Arrive(70'002, 2).empty());
}

// RED and DTX: numbers continue across the silence, while time jumps.
TEST(RedRecovery, SilenceIsNotLoss) {
  Stream stream(70'000);
  stream.Send();
  stream.Silence(10);
  stream.Send();
  stream.Silence(3);
  stream.Send();
  EXPECT_TRUE(stream.Arrive(70'000, 2).empty());
  const auto lost = stream.Arrive(70'002, 2);
  ASSERT_EQ(lost.size(), 1u) << "70'000 is there";
  stream.ExpectIsTrue(lost[0]);
}

// A sender whose blocks are not the packets just before: the times of the neighbours show it.
TEST(RedRecovery, IgnoresABlockThatDoesNotFitBetweenItsNeighbours) {
  PacketRing ring({256, Duration(2'000'000)});
  const std::vector<uint8_t> payload = {1, 2, 3};
  const auto store = [&](int64_t sequence, int64_t timestamp) {
    SourcePacket packet;
    packet.sequence_number = sequence;
    packet.timestamp = timestamp;
    packet.payload = payload;
    const SourcePacket* stored = nullptr;
    ring.Insert(packet, stored);
    return stored;
  };
  store(100, 96'000);
  const SourcePacket* primary = store(102, 96'000 + 2 * kFrame);
  std::array<LostAudio, kKeptRedBlocks> lost;
  for (const int64_t offset : {int64_t{0}, 2 * kFrame, 3 * kFrame}) {
    RedPacket red;
    red.primary_type = kOpus;
    red.blocks[red.block_count++] = {kOpus, static_cast<uint16_t>(offset), payload};
    EXPECT_EQ(FindLostAudio(ring, red, *primary, lost), 0u) << offset;
  }
  RedPacket other;
  other.primary_type = kOpus;
  other.blocks[other.block_count++] = {PayloadType{0}, kFrame, payload};
  EXPECT_EQ(FindLostAudio(ring, other, *primary, lost), 0u) << "a block of another codec";
}

// Generated loss, reordering, duplication and silence: every recovered packet was sent exactly so.
TEST(RedRecovery, RecoversOnlyPacketsThatWereSent) {
  uint64_t found = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    testing::Random random(seed);
    Stream stream(65'400 + random.Between(0, 200));
    std::vector<int64_t> held;
    for (int step = 0; step < 1000; ++step) {
      if (random.Percent(5)) stream.Silence(random.Between(1, 40));
      stream.Send();
      if (random.Percent(15)) continue;  // lost
      if (random.Percent(10)) {
        held.push_back(stream.last());  // late
        continue;
      }
      for (const LostAudio& lost : stream.Arrive(stream.last(), random.Below(kKeptRedBlocks + 1))) {
        stream.ExpectIsTrue(lost);
        ++found;
      }
      if (!held.empty() && random.Percent(30)) {
        stream.Arrive(held.back(), 1);
        if (random.Percent(80)) held.pop_back();
      }
    }
  }
  EXPECT_GT(found, 1000u);
}

}  // namespace
}  // namespace nexus
