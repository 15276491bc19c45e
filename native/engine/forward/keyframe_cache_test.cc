// Hard problems 1 and 20: a fresh keyframe is replayed instead of requested, within bounds.
#include "engine/forward/keyframe_cache.h"

#include <gtest/gtest.h>

#include "engine/codec/payload_inspector.h"
#include "testing/random.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

Timestamp At(int64_t ms) { return TimestampFromMicros(ms * 1000); }

// The ring and the cache of a layer, filled with frames.
struct Layer {
  PacketRing ring{{1024, Duration(2'000'000)}};
  KeyframeCache cache;
  int64_t sequence = 65'500;
  int64_t timestamp = 0;
  const std::vector<uint8_t> payload = std::vector<uint8_t>(100);

  void Store(int64_t number, int64_t ms, bool keyframe_start) {
    SourcePacket packet;
    packet.sequence_number = number;
    packet.timestamp = timestamp;
    packet.arrival = At(ms);
    packet.frame.keyframe_start = keyframe_start;
    packet.payload = payload;
    const SourcePacket* stored = nullptr;
    ring.Insert(packet, stored);
    if (stored != nullptr) cache.OnPacket(*stored);
  }
  // Returns the number of its first packet.
  int64_t Frame(int64_t ms, bool key, int64_t packets = 3) {
    timestamp += 3000;
    const int64_t first = sequence;
    for (int64_t i = 0; i < packets; ++i) Store(sequence++, ms, key && i == 0);
    return first;
  }
};

TEST(KeyframeCache, ReplaysAFreshKeyframe) {
  Layer layer;
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(0)));
  layer.Frame(0, false);
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(0)));
  const int64_t first = layer.Frame(33, true);
  EXPECT_EQ(layer.cache.ReplayFrom(layer.ring, At(33)), first);
  for (int64_t ms = 66; ms < 400; ms += 33) layer.Frame(ms, false);
  EXPECT_EQ(layer.cache.ReplayFrom(layer.ring, At(433)), first);
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(434))) << "too far behind what others are shown";
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(200), Duration(100'000)))
      << "older than the caller accepts";
  const int64_t next = layer.Frame(500, true);
  EXPECT_EQ(layer.cache.ReplayFrom(layer.ring, At(500)), next);
  layer.cache.Forget();
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(500)));
}

TEST(KeyframeCache, BoundsTheReplay) {
  const KeyframeCacheConfig config;
  Layer layer;
  layer.Frame(0, true, config.max_keyframe_packets);
  EXPECT_TRUE(layer.cache.ReplayFrom(layer.ring, At(0))) << "a large keyframe alone";
  layer.Frame(10, false, config.max_following_packets);
  EXPECT_TRUE(layer.cache.ReplayFrom(layer.ring, At(10)));
  layer.Frame(11, false, 1);
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(11))) << "the burst would be too large";
  layer.Frame(20, true, config.max_keyframe_packets + 1);
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(20)));
}

TEST(KeyframeCache, ALateOldKeyframeChangesNothing) {
  Layer layer;
  layer.Frame(0, false);
  const int64_t lost = layer.sequence++;
  const int64_t first = layer.Frame(33, true);
  layer.Store(lost, 50, true);
  EXPECT_EQ(layer.cache.ReplayFrom(layer.ring, At(60)), first);
}

TEST(KeyframeCache, IgnoresAKeyframeWithoutItsFirstPacket) {
  Layer layer;
  const int64_t first = layer.Frame(0, true);
  // The ring moves on until nothing of the keyframe is left.
  layer.sequence = first + 1024;
  layer.Store(layer.sequence++, 10, false);
  EXPECT_FALSE(layer.cache.ReplayFrom(layer.ring, At(10)));
}

// Hard problem 20: parameter sets in their own packets, in one access unit with the IDR slice or before it.
TEST(KeyframeCache, ReplaysParameterSetsToo) {
  for (const bool one_access_unit : {true, false}) {
    PayloadInspector inspector(Codec::kH264);
    PacketRing ring({1024, Duration(2'000'000)});
    KeyframeCache cache;
    const std::vector<std::vector<uint8_t>> units = {
        {0x67, 0x42, 0xE0, 0x1F}, {0x68, 0xCE}, {0x7C, 0x85, 1, 2}, {0x7C, 0x45, 3}};
    int64_t sequence = 70'000;
    for (size_t i = 0; i < units.size(); ++i) {
      SourcePacket packet;
      packet.sequence_number = sequence++;
      packet.timestamp = one_access_unit || i >= 2 ? 90'000 : 87'000;
      packet.marker = i + 1 == units.size();
      packet.payload = units[i];
      packet.frame = inspector.Inspect(units[i], static_cast<uint32_t>(packet.timestamp), packet.marker, {});
      const SourcePacket* stored = nullptr;
      ring.Insert(packet, stored);
      cache.OnPacket(*stored);
    }
    EXPECT_EQ(cache.ReplayFrom(ring, At(0)), 70'000) << "from the SPS";
  }
}

// Captures of all codecs: at any time a replay begins with a keyframe and ends with the newest packet.
TEST(KeyframeCache, ReplaysCapturesFromAKeyframe) {
  const std::vector<std::pair<const char*, Codec>> captures = {{"vp8.pcap", Codec::kVp8},
                                                               {"vp9.pcap", Codec::kVp9},
                                                               {"h264.pcap", Codec::kH264},
                                                               {"av1.pcap", Codec::kAv1}};
  for (const auto& [name, codec] : captures) {
    SCOPED_TRACE(name);
    NEXUS_LOAD_CAPTURE(datagrams, name);
    testing::CapturedStream stream = testing::LoadStream(datagrams, codec);
    PacketRing ring({1024, Duration(2'000'000)});
    KeyframeCache cache;
    size_t replays = 0;
    for (const SourcePacket& packet : stream.packets) {
      const SourcePacket* stored = nullptr;
      ring.Insert(packet, stored);
      if (stored == nullptr) continue;
      cache.OnPacket(*stored);
      const auto from = cache.ReplayFrom(ring, packet.arrival);
      if (!from) continue;
      ++replays;
      ASSERT_NE(ring.Find(*from), nullptr);
      EXPECT_TRUE(ring.Find(*from)->frame.keyframe_start);
      EXPECT_LE(packet.arrival - ring.Find(*from)->arrival, KeyframeCacheConfig{}.max_span);
    }
    EXPECT_GT(replays, 0u);
  }
}

}  // namespace
}  // namespace nexus
