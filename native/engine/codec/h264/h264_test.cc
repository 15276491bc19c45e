// H.264. Hard problem 20: STAP-A, FU-A, separate parameter sets, profile-level-id.
#include <gtest/gtest.h>

#include <vector>

#include "engine/codec/h264/h264_inspector.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

const Bytes kSps = {0x67, 0x42, 0xE0, 0x1F};
const Bytes kPps = {0x68, 0xCE};
const Bytes kIdr = {0x65, 0x88};
const Bytes kSlice = {0x61, 0x88};
const Bytes kStapA = {0x78, 0, 4, 0x67, 0x42, 0xE0, 0x1F, 0, 2, 0x68, 0xCE};
const Bytes kFuIdrStart = {0x7C, 0x85, 1};
const Bytes kFuIdrMiddle = {0x7C, 0x05, 2};
const Bytes kFuIdrEnd = {0x7C, 0x45, 3};

TEST(H264Payload, NamesWhatIsInside) {
  EXPECT_TRUE(ParseH264Payload(kSps)->has_sps);
  EXPECT_TRUE(ParseH264Payload(kStapA)->has_sps);
  EXPECT_TRUE(ParseH264Payload(kStapA)->has_pps);
  EXPECT_FALSE(ParseH264Payload(kStapA)->idr_start);
  EXPECT_TRUE(ParseH264Payload(kIdr)->idr_start);
  EXPECT_TRUE(ParseH264Payload(kFuIdrStart)->idr_start);
  EXPECT_FALSE(ParseH264Payload(kFuIdrMiddle)->idr_start);
  EXPECT_FALSE(ParseH264Payload(kFuIdrEnd)->idr_start);
  EXPECT_FALSE(ParseH264Payload({}));
  EXPECT_FALSE(ParseH264Payload(Bytes{0x7C}));
  EXPECT_FALSE(ParseH264Payload(Bytes{0x78, 0, 9, 0x67}));
}

TEST(H264Inspector, SeparateParameterSetsBeginTheKeyframe) {
  H264Inspector inspector;
  EXPECT_TRUE(inspector.Inspect(kSps, 100).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kPps, 100).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kFuIdrStart, 100).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kFuIdrMiddle, 100).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kSlice, 200).keyframe_start);
  EXPECT_TRUE(inspector.Inspect(kStapA, 300).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kIdr, 300).keyframe_start);
}

TEST(H264Inspector, WithoutItsSpsAnIdrBeginsNothing) {
  H264Inspector inspector;
  (void)inspector.Inspect(kSps, 100);
  EXPECT_FALSE(inspector.Inspect(kIdr, 200).keyframe_start);
}

TEST(H264Inspector, OutOfBandParameterSetsLeaveTheIdr) {
  H264Inspector inspector;
  EXPECT_TRUE(inspector.Inspect(kFuIdrStart, 100).keyframe_start);
  EXPECT_FALSE(inspector.Inspect(kIdr, 100).keyframe_start) << "second slice of the same frame";
  EXPECT_TRUE(inspector.Inspect(kIdr, 200).keyframe_start);
}

TEST(H264Profile, ReadsProfileLevelIds) {
  EXPECT_EQ(ParseProfileLevelId("42e01f")->profile, H264Profile::kConstrainedBaseline);
  EXPECT_EQ(ParseProfileLevelId("42E01F")->level_idc, 0x1F);
  EXPECT_EQ(ParseProfileLevelId("42001f")->profile, H264Profile::kBaseline);
  EXPECT_EQ(ParseProfileLevelId("4d001f")->profile, H264Profile::kMain);
  EXPECT_EQ(ParseProfileLevelId("640c34")->profile, H264Profile::kConstrainedHigh);
  EXPECT_EQ(ParseProfileLevelId("64001f")->profile, H264Profile::kHigh);
  EXPECT_EQ(ParseProfileLevelId("f4001f")->profile, H264Profile::kOther);
  EXPECT_FALSE(ParseProfileLevelId("42e01"));
  EXPECT_FALSE(ParseProfileLevelId("42e01g"));
  EXPECT_FALSE(ParseProfileLevelId("42e0:f"));
}

}  // namespace
}  // namespace nexus
