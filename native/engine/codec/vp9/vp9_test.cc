// VP9 descriptor and rewriting. Hard problem 19: flexible and non-flexible mode, spatial and temporal layers.
#include <gtest/gtest.h>

#include <vector>

#include "engine/codec/vp9/vp9_rewriter.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Apply(Vp9Rewriter& rewriter, const Bytes& payload) {
  const auto descriptor = ParseVp9Descriptor(payload);
  EXPECT_TRUE(descriptor);
  if (!descriptor) return {};
  const CodecPatch patch = rewriter.Rewrite(*descriptor, payload);
  Bytes out(patch.bytes.begin(), patch.bytes.begin() + patch.size);
  out.insert(out.end(), payload.begin() + patch.replaces, payload.end());
  return out;
}

void ExpectEveryCutRefused(const Bytes& payload) {
  for (size_t size = 0; size < payload.size(); ++size) {
    const Bytes cut(payload.begin(), payload.begin() + static_cast<long>(size));
    EXPECT_FALSE(ParseVp9Descriptor(cut)) << size;
  }
}

TEST(Vp9Descriptor, NonFlexibleWithLayersAndStructure) {
  // I L B V, picture id 15 bits, TID 1 U SID 0 D 0, TL0 9, SS: two layers, sizes, one picture with one
  // reference
  const Bytes payload = {0xAA, 0x81, 0x02, 0x30, 9, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 1, 0x04, 1, 0x55};
  const auto descriptor = ParseVp9Descriptor(payload);
  ASSERT_TRUE(descriptor);
  EXPECT_EQ(descriptor->picture_id, 0x102);
  EXPECT_EQ(descriptor->temporal_id, 1);
  EXPECT_TRUE(descriptor->switching_up);
  EXPECT_EQ(descriptor->spatial_id, 0);
  EXPECT_EQ(descriptor->tl0_picture_index, 9);
  EXPECT_EQ(descriptor->spatial_layers, 2);
  EXPECT_EQ(descriptor->width, 640);
  EXPECT_EQ(descriptor->height, 360);
  EXPECT_EQ(descriptor->size, payload.size() - 1);
  EXPECT_TRUE(IsVp9KeyframeStart(*descriptor));
  ExpectEveryCutRefused(payload);
}

TEST(Vp9Descriptor, FlexibleWithReferences) {
  // I P L F, 7 bit id, TID 0 SID 1 D, two P_DIFF
  const Bytes payload = {0xF0, 0x11, 0x03, 0x03, 0x04, 0x55};
  const auto descriptor = ParseVp9Descriptor(payload);
  ASSERT_TRUE(descriptor);
  EXPECT_TRUE(descriptor->flexible);
  EXPECT_EQ(descriptor->picture_id_bits, 7);
  EXPECT_EQ(descriptor->spatial_id, 1);
  EXPECT_TRUE(descriptor->inter_layer_predicted);
  EXPECT_FALSE(descriptor->has_tl0_picture_index);
  EXPECT_EQ(descriptor->size, 5);
  EXPECT_FALSE(IsVp9KeyframeStart(*descriptor));
  ExpectEveryCutRefused(payload);
}

TEST(Vp9Descriptor, AFourthReferenceIsAnError) {
  EXPECT_FALSE(ParseVp9Descriptor(Bytes{0xD0, 0x11, 0x03, 0x03, 0x03, 0x02, 0x55}));
}

TEST(Vp9Keyframe, NeedsTheLowestSpatialLayer) {
  const auto upper = ParseVp9Descriptor(Bytes{0xB8, 0x11, 0x03, 0x55});
  ASSERT_TRUE(upper);
  EXPECT_EQ(upper->spatial_id, 1);
  EXPECT_FALSE(IsVp9KeyframeStart(*upper));
  const auto lowest = ParseVp9Descriptor(Bytes{0xB8, 0x11, 0x00, 0x55});
  EXPECT_TRUE(IsVp9KeyframeStart(*lowest));
}

TEST(Vp9Rewriter, ContinuesAcrossSourcesInBothModes) {
  Vp9Rewriter rewriter;
  rewriter.Bind();
  for (uint32_t i = 0; i < 100; ++i) {  // flexible, 7 bits, from 100: wraps at 128
    const Bytes payload = {0xF0, static_cast<uint8_t>((100 + i) & 0x7F), 0x00, 0x02, 0x55};
    const Bytes out = Apply(rewriter, payload);
    const auto descriptor = ParseVp9Descriptor(out);
    ASSERT_TRUE(descriptor);
    ASSERT_EQ(descriptor->picture_id, 100 + i);
    ASSERT_EQ(Bytes(out.end() - 3, out.end()), (Bytes{0x00, 0x02, 0x55}));
  }
  rewriter.Bind();
  for (uint32_t i = 0; i < 100; ++i) {  // not flexible, 15 bits, over its wrap
    const uint32_t id = (0x7FF0 + i) & 0x7FFF;
    const Bytes payload = {
        0xA8, static_cast<uint8_t>(0x80 | id >> 8), static_cast<uint8_t>(id), 0x20, static_cast<uint8_t>(i),
        0x55};
    const Bytes out = Apply(rewriter, payload);
    const auto descriptor = ParseVp9Descriptor(out);
    ASSERT_TRUE(descriptor);
    ASSERT_EQ(descriptor->picture_id, 200 + i);
    ASSERT_EQ(descriptor->temporal_id, 1);
    ASSERT_EQ(descriptor->tl0_picture_index, i);
    ASSERT_EQ(out.back(), 0x55);
  }
  rewriter.Bind();
  const auto last = ParseVp9Descriptor(Apply(rewriter, Bytes{0xA8, 0x05, 0x20, 200, 0x55}));
  EXPECT_EQ(last->picture_id, 300);
  EXPECT_EQ(last->tl0_picture_index, 100);
}

}  // namespace
}  // namespace nexus
