// The first keyframe is detected when all its packets have arrived, with losses, retransmissions and probes.
#include "bench/load/keyframe_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace nexus::load {
namespace {

// RFC 7741 section 4.2: the S bit begins a frame; the P bit of the first payload byte tells a keyframe (RFC
// 6386 section 9.1).
const std::vector<uint8_t> kKeyframeStart = {0x10, 0x10, 0x00, 0x00, 0x9D, 0x01,
                                             0x2A, 0x00, 0x05, 0xD0, 0x02};
const std::vector<uint8_t> kDeltaStart = {0x10, 0x11, 0x00, 0x00, 0xA5};
const std::vector<uint8_t> kMore = {0x00, 0xA5, 0xA5};

ReceivedMedia Packet(int64_t sequence, uint32_t frame, const std::vector<uint8_t>& payload,
                     bool marker = false) {
  ReceivedMedia media;
  media.sequence_number = sequence;
  media.timestamp = frame * 3'000;
  media.marker = marker;
  media.opened = true;
  media.payload = payload;
  return media;
}

TEST(KeyframeWatch, AKeyframeIsCompleteWithItsLastPacket) {
  KeyframeWatch watch(Codec::kVp8);
  EXPECT_FALSE(watch.OnPacket(Packet(10, 1, kKeyframeStart)));
  EXPECT_TRUE(watch.coming());
  EXPECT_FALSE(watch.OnPacket(Packet(11, 1, kMore)));
  EXPECT_TRUE(watch.OnPacket(Packet(12, 1, kMore, true)));
}

TEST(KeyframeWatch, WithoutAKeyframeNoneIsComing) {
  KeyframeWatch watch(Codec::kVp8);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_FALSE(watch.OnPacket(Packet(i, static_cast<uint32_t>(i), kDeltaStart, true)));
    EXPECT_FALSE(watch.coming());
  }
}

TEST(KeyframeWatch, LateRetransmissionsCompleteAKeyframe) {
  KeyframeWatch watch(Codec::kVp8);
  EXPECT_FALSE(watch.OnPacket(Packet(11, 1, kMore)));
  EXPECT_FALSE(watch.OnPacket(Packet(13, 1, kMore, true)));
  EXPECT_FALSE(watch.OnPacket(Packet(14, 2, kDeltaStart, true))) << "the next frame";
  EXPECT_FALSE(watch.OnPacket(Packet(10, 1, kKeyframeStart)));
  EXPECT_TRUE(watch.OnPacket(Packet(12, 1, kMore)));
}

TEST(KeyframeWatch, ForgetsAnIncompleteKeyframeAndIgnoresProbes) {
  KeyframeWatch watch(Codec::kVp8);
  EXPECT_FALSE(watch.OnPacket(Packet(10, 1, kKeyframeStart)));
  EXPECT_FALSE(watch.OnPacket(Packet(12, 1, kMore, true)));
  EXPECT_FALSE(watch.OnPacket(Packet(13, 1, {})));
  for (uint32_t frame = 2; frame < 12; ++frame) {
    EXPECT_FALSE(watch.OnPacket(Packet(12 + frame, frame, kDeltaStart, true)));
  }
  EXPECT_FALSE(watch.coming()) << "a new request is needed";
  EXPECT_TRUE(watch.OnPacket(Packet(40, 20, kKeyframeStart, true)));
}

}  // namespace
}  // namespace nexus::load
