// Descriptions of hand-made frames. Frames of real encoders are described in libs/frames/tests.
#include "engine/frames/frame_description.h"

#include <gtest/gtest.h>

#include "engine/frames/depacketizer.h"
#include "testing/bits.h"

namespace nexus {
namespace {

using testing::Bits;
using Bytes = std::vector<uint8_t>;

TEST(DescribeVp8, ReadsTheSizeOfAKeyframe) {
  // 320 × 180 with scaling bits
  const Bytes key = {0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x41, 0xB4, 0x80};
  const auto description = DescribeFrame(Codec::kVp8, key);
  ASSERT_TRUE(description);
  EXPECT_TRUE(description->keyframe);
  EXPECT_EQ(description->width, 320);
  EXPECT_EQ(description->height, 180);
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, Bytes{0x11, 0, 0})->keyframe);
}

TEST(DescribeVp8, RefusesAKeyframeWithoutStartCode) {
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, Bytes{0x10, 0, 0, 0x9D, 0x01, 0x2B, 0x40, 0x01, 0xB4, 0x00}));
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, Bytes{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xB4}));
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, Bytes{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x00, 0x00, 0xB4, 0x00}));
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, Bytes{0x1D, 0, 0}));
  EXPECT_FALSE(DescribeFrame(Codec::kVp8, {}));
}

Bytes Vp9Key(uint32_t width, uint32_t height) {
  return Bits()
      .Put(2, 2)  // frame_marker
      .Put(0, 2)  // profile
      .Put(0, 1)  // show_existing_frame
      .Put(0, 1)  // key
      .Put(1, 2)  // shown, error resilient
      .Put(0x498342, 24)
      .Put(1, 3)  // color space
      .Put(0, 1)
      .Put(width - 1, 16)
      .Put(height - 1, 16)
      .Put(0, 8)
      .bytes();
}

Bytes Vp9Inter(std::optional<std::pair<uint32_t, uint32_t>> size) {
  Bits bits;
  bits.Put(2, 2).Put(0, 2).Put(0, 1).Put(1, 1).Put(3, 2).Put(1, 8).Put(0, 12);
  if (size) {
    bits.Put(0, 3).Put(size->first - 1, 16).Put(size->second - 1, 16);
  } else {
    bits.Put(1, 1);
  }
  return bits.Put(0, 8).bytes();
}

TEST(DescribeVp9, ReadsTheSizeOfAKeyframe) {
  const auto description = DescribeFrame(Codec::kVp9, Vp9Key(640, 360));
  ASSERT_TRUE(description);
  EXPECT_TRUE(description->keyframe);
  EXPECT_EQ(description->width, 640);
  EXPECT_EQ(description->height, 360);
  EXPECT_EQ(description->spatial_layers, 1);
}

TEST(DescribeVp9, ASuperframeHasTheSizeOfItsHighestLayer) {
  // Descriptors: I, B and E; the second layer is predicted from the first.
  const Bytes low = Vp9Key(320, 180);
  const Bytes high = Vp9Inter(std::pair{640u, 360u});
  Bytes first = {0x8C, 5};
  first.insert(first.end(), low.begin(), low.end());
  Bytes second = {0xCC, 5};
  second.insert(second.end(), high.begin(), high.end());
  Bytes frame;
  const std::vector<ByteView> payloads = {first, second};
  ASSERT_TRUE(Depacketize(Codec::kVp9, payloads, frame));
  EXPECT_EQ(frame.size(), low.size() + high.size() + 4);
  EXPECT_EQ(frame.back(), 0xC1);
  const auto description = DescribeFrame(Codec::kVp9, frame);
  ASSERT_TRUE(description);
  EXPECT_TRUE(description->keyframe);
  EXPECT_EQ(description->spatial_layers, 2);
  EXPECT_EQ(description->width, 640);
  EXPECT_EQ(description->height, 360);
}

TEST(DescribeVp9, APictureWithMoreThanEightLayersDoesNotFit) {
  const std::vector<Bytes> packets(9, Bytes{0x8C, 5, 0x82});
  const std::vector<ByteView> payloads(packets.begin(), packets.end());
  Bytes frame;
  EXPECT_FALSE(Depacketize(Codec::kVp9, payloads, frame));
}

TEST(DescribeVp9, AnInterFrameHasNoSizeOfItsOwn) {
  const auto description = DescribeFrame(Codec::kVp9, Vp9Inter(std::nullopt));
  ASSERT_TRUE(description);
  EXPECT_FALSE(description->keyframe);
  EXPECT_EQ(description->width, 0);
}

TEST(DescribeVp9, RefusesWhatIsNoFrame) {
  Bytes wrong = Vp9Key(640, 360);
  wrong[2] ^= 1;  // sync code
  EXPECT_FALSE(DescribeFrame(Codec::kVp9, wrong));
  EXPECT_FALSE(DescribeFrame(Codec::kVp9, Bytes{0x12, 0x34}));
  EXPECT_FALSE(DescribeFrame(Codec::kVp9, {}));
}

// Constrained baseline, 320 × 180 (libx264).
const Bytes kSps = {0x67, 0x42, 0xC0, 0x14, 0xDA, 0x05, 0x06, 0x7E, 0x78, 0x40, 0x00,
                    0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0F, 0x23, 0xC5, 0x0A, 0xA8};
const Bytes kPps = {0x68, 0xCE, 0x3C, 0x80};

Bytes AnnexB(std::initializer_list<Bytes> units) {
  Bytes out;
  for (const Bytes& unit : units) {
    out.insert(out.end(), {0, 0, 0, 1});
    out.insert(out.end(), unit.begin(), unit.end());
  }
  return out;
}

TEST(DescribeH264, ReadsSizeAndConfiguration) {
  const auto description = DescribeFrame(Codec::kH264, AnnexB({kSps, kPps, {0x65, 0x88, 0x84}}));
  ASSERT_TRUE(description);
  EXPECT_TRUE(description->keyframe);
  EXPECT_TRUE(description->has_picture);
  EXPECT_EQ(description->width, 320);
  EXPECT_EQ(description->height, 180);
  EXPECT_EQ(description->configuration, AnnexB({kSps, kPps}));
}

TEST(DescribeH264, ParameterSetsAloneAreNoPicture) {
  const auto description = DescribeFrame(Codec::kH264, AnnexB({kSps, kPps}));
  ASSERT_TRUE(description);
  EXPECT_FALSE(description->has_picture);
  EXPECT_FALSE(description->keyframe);
}

TEST(DescribeH264, RefusesWhatIsNoAccessUnit) {
  EXPECT_FALSE(DescribeFrame(Codec::kH264, Bytes{1, 2, 3, 4}));
  EXPECT_FALSE(DescribeFrame(Codec::kH264, AnnexB({{0xE5, 0x88}})));        // forbidden_zero_bit
  EXPECT_FALSE(DescribeFrame(Codec::kH264, AnnexB({{0x67, 0x42, 0xC0}})));  // an SPS that is cut off
  Bytes large(20'000, 0x55);
  large[0] = 0x68;
  EXPECT_FALSE(DescribeFrame(Codec::kH264, AnnexB({large})));
  EXPECT_FALSE(DescribeFrame(Codec::kH264, {}));
}

// Main profile, 320 × 184 (SVT-AV1), behind a temporal delimiter; a key frame's header follows.
const Bytes kAv1 = {0x12, 0x00, 0x0A, 0x0B, 0x00, 0x00, 0x00, 0x04, 0x3C, 0xFE,
                    0xCC, 0x4A, 0xF9, 0x00, 0x40, 0x32, 0x02, 0x10, 0x00};

TEST(DescribeAv1, ReadsSizeAndSequenceHeader) {
  const auto description = DescribeFrame(Codec::kAv1, kAv1);
  ASSERT_TRUE(description);
  EXPECT_TRUE(description->keyframe);
  EXPECT_EQ(description->width, 320);
  EXPECT_EQ(description->height, 180);
  EXPECT_EQ(description->configuration, Bytes(kAv1.begin() + 2, kAv1.begin() + 15));
}

TEST(DescribeAv1, CountsSpatialLayers) {
  Bytes frame = kAv1;
  frame.insert(frame.end(), {0x36, 0x08, 0x01, 0x30});  // a frame of spatial layer 1
  const auto description = DescribeFrame(Codec::kAv1, frame);
  ASSERT_TRUE(description);
  EXPECT_EQ(description->spatial_layers, 2);
  EXPECT_TRUE(description->keyframe);
}

TEST(DescribeAv1, RefusesObusThatDoNotFit) {
  Bytes frame = kAv1;
  frame.pop_back();
  EXPECT_FALSE(DescribeFrame(Codec::kAv1, frame));
  EXPECT_FALSE(DescribeFrame(Codec::kAv1, Bytes{0x92, 0x00}));  // obu_forbidden_bit
  EXPECT_FALSE(DescribeFrame(Codec::kAv1, Bytes{0x30, 0x10}));  // no size
}

TEST(DescribeFrame, SoundHasNoDescription) { EXPECT_FALSE(DescribeFrame(Codec::kOpus, Bytes{0x78})); }

}  // namespace
}  // namespace nexus
