// Hard problem 10: the ring against a naive, unbounded model.
#include "engine/forward/packet_ring.h"

#include <gtest/gtest.h>

#include <map>

#include "testing/random.h"

namespace nexus {
namespace {

struct Kept {
  Timestamp arrival;
  std::vector<uint8_t> payload;
  std::vector<uint8_t> descriptor;
};

SourcePacket Packet(int64_t sequence, Timestamp arrival, ByteView payload, ByteView descriptor = {}) {
  SourcePacket packet;
  packet.sequence_number = sequence;
  packet.arrival = arrival;
  packet.payload = payload;
  packet.dependency_descriptor = descriptor;
  return packet;
}

bool Same(ByteView a, const std::vector<uint8_t>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST(PacketRing, AgreesWithANaiveModel) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    testing::Random random(seed);
    const PacketRingConfig config{size_t{1} << (2 + seed % 6), Duration(random.Between(1'000, 300'000))};
    PacketRing ring(config);
    const auto capacity = static_cast<int64_t>(ring.capacity());
    std::map<int64_t, Kept> model;
    int64_t newest = random.Between(65'000, 140'000);
    bool any = false;
    Timestamp now{};
    for (int step = 0; step < 3000; ++step) {
      now += Duration(random.Between(0, 2'000));
      const int64_t jump =
          random.Percent(2) ? random.Between(1, 3 * capacity) : random.Between(-capacity - 3, 4);
      const int64_t sequence = newest + jump;
      std::vector<uint8_t> payload(random.Below(40), static_cast<uint8_t>(random.Next()));
      std::vector<uint8_t> descriptor(random.Below(5), static_cast<uint8_t>(random.Next()));
      InsertOutcome expected = InsertOutcome::kStored;
      if (any && sequence <= newest - capacity) {
        expected = InsertOutcome::kTooOld;
      } else if (model.count(sequence)) {
        expected = InsertOutcome::kDuplicate;
      }
      const SourcePacket* stored = nullptr;
      ASSERT_EQ(ring.Insert(Packet(sequence, now, payload, descriptor), stored), expected);
      ASSERT_EQ(stored != nullptr, expected == InsertOutcome::kStored);
      if (expected == InsertOutcome::kStored) {
        newest = any ? std::max(newest, sequence) : sequence;
        any = true;
        model[sequence] = {now, payload, descriptor};
        while (model.begin()->first <= newest - capacity) model.erase(model.begin());
      }
      if (expected == InsertOutcome::kTooOld) ring.Expire(now);
      for (int64_t i = newest - capacity - 2; i <= newest + 2; ++i) {
        const SourcePacket* found = ring.Find(i);
        const auto kept = model.find(i);
        const bool young = kept != model.end() && kept->second.arrival >= now - config.max_age;
        ASSERT_EQ(found != nullptr, young) << i << " of " << newest;
        if (!found) continue;
        ASSERT_EQ(found->sequence_number, i);
        ASSERT_TRUE(Same(found->payload, kept->second.payload));
        ASSERT_TRUE(Same(found->dependency_descriptor, kept->second.descriptor));
      }
    }
  }
}

TEST(PacketRing, RejectsPacketsThatDoNotFitItsSlots) {
  PacketRing ring({16, Duration(1'000'000)});
  const std::vector<uint8_t> large(kMaxStoredPacketSize + 1);
  const SourcePacket* stored = nullptr;
  EXPECT_EQ(ring.Insert(Packet(70'000, {}, large), stored), InsertOutcome::kTooLarge);
  EXPECT_FALSE(ring.newest());
  EXPECT_EQ(ring.Insert(Packet(70'000, {}, ByteView(large).first(kMaxStoredPacketSize)), stored),
            InsertOutcome::kStored);
  EXPECT_EQ(stored->payload.size(), kMaxStoredPacketSize);
}

TEST(PacketRing, ExpiresByTimeAlone) {
  PacketRing ring({16, Duration(1'000)});
  const std::vector<uint8_t> payload(3);
  const SourcePacket* stored = nullptr;
  ASSERT_EQ(ring.Insert(Packet(70'000, TimestampFromMicros(500), payload), stored), InsertOutcome::kStored);
  ring.Expire(TimestampFromMicros(1'500));
  EXPECT_NE(ring.Find(70'000), nullptr);
  ring.Expire(TimestampFromMicros(1'501));
  EXPECT_EQ(ring.Find(70'000), nullptr);
}

TEST(PacketRing, PadsOnceAfterThePayloadAndKeepsTheDescriptor) {
  PacketRing ring({8, Duration(1'000'000)});
  const std::vector<uint8_t> payload(20, 7);
  const std::vector<uint8_t> descriptor = {1, 2, 3};
  const SourcePacket* stored = nullptr;
  ASSERT_EQ(ring.Insert(Packet(5, {}, payload, descriptor), stored), InsertOutcome::kStored);
  ring.Pad(5, kMaxRunPadding + 1);
  ring.Pad(6, 1);  // no such packet
  ASSERT_EQ(stored->padding, 0);
  ring.Pad(5, 3);
  ring.Pad(5, 2);
  ASSERT_EQ(stored->padding, 3);
  EXPECT_TRUE(Same(stored->payload, payload));
  EXPECT_TRUE(Same(stored->dependency_descriptor, descriptor));
  EXPECT_TRUE(Same(ByteView(stored->payload.data() + 20, 3), {0, 0, 3}));
  // The next packet in this entry has no padding.
  ASSERT_EQ(ring.Insert(Packet(13, {}, payload), stored), InsertOutcome::kStored);
  EXPECT_EQ(stored->padding, 0);
  EXPECT_TRUE(Same(ByteView(stored->payload.data() + 20, 3), {0, 0, 0}));
}

}  // namespace
}  // namespace nexus
