// Lower layers that are not shown: the header's bits. Pictures of a real encoder are decoded in
// libs/frames/tests.
#include "engine/frames/shown_layer.h"

#include <gtest/gtest.h>

#include "engine/frames/superframe_index.h"
#include "testing/bits.h"

namespace nexus {
namespace {

using testing::Bits;
using Bytes = std::vector<uint8_t>;

// The end of a header from frame_context_idx on, with a segmentation that has values, and one byte behind it.
void PutRest(Bits& bits) {
  bits.Put(0, 2);
  bits.Put(10, 6).Put(0, 3).Put(1, 1).Put(1, 1);                            // loop filter with changes
  for (int i = 0; i < 6; ++i) bits.Put(i == 0 ? 0x85 : 0, i == 0 ? 8 : 1);  // one of them
  bits.Put(60, 8).Put(0, 3);                                                // quantization
  bits.Put(1, 1).Put(0, 1).Put(1, 1).Put(0, 1);                             // segmentation: data, no map
  for (int i = 0; i < 32; ++i) bits.Put(0, 1);
  bits.Put(0, 1);   // tiles of a narrow picture
  bits.Put(1, 16);  // the compressed header has one byte
}

Bytes WithData(const Bits& bits) {
  Bytes frame = bits.bytes();
  frame.insert(frame.end(), {0xAB, 0xCD});
  return frame;
}

Bytes Key(bool error_resilient = true) {
  Bits bits;
  bits.Put(2, 2)
      .Put(0, 2)
      .Put(0, 1)
      .Put(0, 1)
      .Put(1, 1)
      .Put(error_resilient, 1)
      .Put(0x498342, 24)
      .Put(1, 3)
      .Put(0, 1);
  bits.Put(319, 16).Put(179, 16).Put(0, 1);
  if (!error_resilient) bits.Put(0, 2);
  PutRest(bits);
  return WithData(bits);
}

Bytes Inter(bool own_size) {
  Bits bits;
  bits.Put(2, 2).Put(0, 2).Put(0, 1).Put(1, 1).Put(3, 2).Put(2, 8).Put(0, 12);
  if (own_size) {
    bits.Put(0, 3).Put(299, 16).Put(199, 16);
  } else {
    bits.Put(1, 1);
  }
  bits.Put(0, 1).Put(0, 1).Put(1, 1);
  PutRest(bits);
  return WithData(bits);
}

Bytes Picture(const std::vector<Bytes>& layers) {
  Bytes picture;
  SuperframeIndex index;
  for (const Bytes& layer : layers) {
    picture.insert(picture.end(), layer.begin(), layer.end());
    index.Add(layer.size(), true);
  }
  index.Write(picture);
  return picture;
}

TEST(ShownLayer, HidesTheLowerLayerOfAKeyframe) {
  ShownLayer layer;
  const Bytes out = layer.Apply(Picture({Key(), Inter(true)}));
  const auto frames = SplitSuperframe(out);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].size(), Key().size());
  const auto low = ParseVp9Header(frames[0], {});
  ASSERT_TRUE(low);
  EXPECT_FALSE(low->shown);
  EXPECT_TRUE(low->keyframe);
  EXPECT_EQ(Bytes(frames[1].begin(), frames[1].end()), Inter(true));
}

TEST(ShownLayer, HidesTheLowerLayerBetweenKeyframes) {
  ShownLayer layer;
  layer.Apply(Picture({Key(), Inter(true)}));
  const Bytes out = layer.Apply(Picture({Inter(false), Inter(true)}));
  const auto frames = SplitSuperframe(out);
  ASSERT_EQ(frames.size(), 2u);
  Vp9References references;
  references.Refresh(0xFF, {320, 180});
  const auto before = ParseVp9Header(Inter(false), references);
  const auto low = ParseVp9Header(frames[0], references);
  ASSERT_TRUE(before && low);
  EXPECT_FALSE(low->shown);
  EXPECT_EQ(low->bits, before->bits + 1);
  EXPECT_EQ(low->refresh_flags, before->refresh_flags);
  EXPECT_EQ(low->size.width, 320u);
  EXPECT_EQ(frames[0].back(), 0xCD);
}

TEST(ShownLayer, LeavesOtherPicturesAsTheyAre) {
  ShownLayer layer;
  const std::vector<Bytes> pictures = {
      Inter(false),                          // before a keyframe
      Key(),                                 // one layer
      Picture({Key(false), Inter(true)}),    // not error resilient
      Picture({Key(), Bytes{1, 2}}),         // no VP9
      Picture({Inter(false), Inter(true)}),  // behind it, the references are not known
      {},
  };
  for (const Bytes& picture : pictures) EXPECT_EQ(layer.Apply(picture), picture);
}

TEST(ShownLayer, DoesNothingTwice) {
  ShownLayer layer;
  const Bytes once = layer.Apply(Picture({Key(), Inter(true)}));
  EXPECT_EQ(ShownLayer().Apply(once), once);
}

}  // namespace
}  // namespace nexus
