#include "engine/frames/superframe_index.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(SuperframeIndex, OneFrameNeedsNone) {
  SuperframeIndex index;
  EXPECT_TRUE(index.Add(100, true));
  EXPECT_TRUE(index.Add(50, false));
  Bytes out;
  index.Write(out);
  EXPECT_TRUE(out.empty());
}

TEST(SuperframeIndex, HasTheSizeOfEachFrame) {
  SuperframeIndex index;
  index.Add(200, true);
  index.Add(55, false);
  index.Add(7, true);
  Bytes out = {1, 2};
  index.Write(out);
  EXPECT_EQ(out, (Bytes{1, 2, 0xC1, 255, 7, 0xC1}));
}

TEST(SuperframeIndex, SizesHaveAsManyBytesAsTheLargestNeeds) {
  SuperframeIndex index;
  index.Add(0x01'0203, true);
  index.Add(1, true);
  index.Add(2, true);
  Bytes out;
  index.Write(out);
  EXPECT_EQ(out, (Bytes{0xD2, 3, 2, 1, 1, 0, 0, 2, 0, 0, 0xD2}));
}

TEST(SuperframeIndex, APictureWithoutAStartIsOneFrame) {
  SuperframeIndex index;
  EXPECT_TRUE(index.Add(10, false));
  EXPECT_EQ(index.frames(), 1u);
}

TEST(SuperframeIndex, HoldsEightFrames) {
  SuperframeIndex index;
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(index.Add(1, true));
  EXPECT_FALSE(index.Add(1, true));
}

}  // namespace
}  // namespace nexus
