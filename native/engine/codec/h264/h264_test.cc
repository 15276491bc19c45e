// H.264. Hard problem 20: STAP-A, FU-A, separate parameter sets, profile-level-id.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/codec/h264/h264_inspector.h"
#include "engine/codec/h264/parameter_sets.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

const Bytes kSps = {0x67, 0x42, 0xE0, 0x1F};
const Bytes kPps = {0x68, 0xCE};
const Bytes kSps2 = {0x67, 0x42, 0xE0, 0x1F, 0x8C};  // id 0
const Bytes kPps2 = {0x68, 0xCE, 0x06};              // id 0
const Bytes kIdr = {0x65, 0x88};
const Bytes kSlice = {0x61, 0x88};
const Bytes kStapA = {0x78, 0, 4, 0x67, 0x42, 0xE0, 0x1F, 0, 2, 0x68, 0xCE};
const Bytes kFuIdrStart = {0x7C, 0x85, 1};
const Bytes kFuIdrMiddle = {0x7C, 0x05, 2};
const Bytes kFuIdrEnd = {0x7C, 0x45, 3};

TEST(H264Payload, DetectsTheNalUnits) {
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

TEST(H264Inspector, AnIdrWithoutItsSpsIsBare) {
  H264Inspector inspector;
  EXPECT_FALSE(inspector.Inspect(kStapA, 100).bare_idr);
  EXPECT_FALSE(inspector.Inspect(kFuIdrStart, 100).bare_idr);
  EXPECT_FALSE(inspector.Inspect(kSlice, 200).bare_idr);
  EXPECT_TRUE(inspector.Inspect(kFuIdrStart, 300).bare_idr);
  EXPECT_FALSE(inspector.Inspect(kFuIdrMiddle, 300).bare_idr);
}

TEST(ParameterSets, AreOnePacketWithTheSpsFirst) {
  ParameterSets sets;
  EXPECT_TRUE(sets.OnPayload(kPps2));
  EXPECT_FALSE(sets.complete());
  EXPECT_TRUE(sets.OnPayload(kSps2));
  EXPECT_TRUE(sets.complete());
  EXPECT_FALSE(sets.OnPayload(kSps2)) << "nothing new";
  EXPECT_FALSE(sets.OnPayload(kIdr));
  const Bytes expected = {0x78, 0, 5, 0x67, 0x42, 0xE0, 0x1F, 0x8C, 0, 3, 0x68, 0xCE, 0x06};
  EXPECT_EQ(sets.ToPayload(), expected);
  ParameterSets together;
  EXPECT_TRUE(together.OnPayload(expected));
  EXPECT_EQ(together.ToPayload(), expected);
}

TEST(ParameterSets, ANewSetReplacesTheOneWithItsIdOnly) {
  ParameterSets sets;
  sets.OnPayload(kSps2);
  sets.OnPayload(kPps2);
  EXPECT_TRUE(sets.OnPayload(Bytes{0x67, 0x42, 0xE0, 0x1E, 0x8C}));  // id 0, another level
  EXPECT_TRUE(sets.OnPayload(Bytes{0x68, 0x40}));                    // ue(v) 010: id 1
  EXPECT_EQ(sets.ToPayload(),
            (Bytes{0x78, 0, 5, 0x67, 0x42, 0xE0, 0x1E, 0x8C, 0, 3, 0x68, 0xCE, 0x06, 0, 2, 0x68, 0x40}));
}

TEST(ParameterSets, AreBounded) {
  ParameterSets sets;
  sets.OnPayload(kSps2);
  sets.OnPayload(kPps2);
  Bytes large = {0x68, 0x20};  // 00100: id 3
  large.resize(ParameterSets::kMaxBytes);
  EXPECT_TRUE(sets.OnPayload(large));
  EXPECT_FALSE(sets.complete());
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes payload(random() % 120);
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random());
    if (!payload.empty()) payload[0] = i % 3 == 0 ? 0x78 : i % 3 == 1 ? 0x67 : 0x68;
    sets.OnPayload(payload);
    ASSERT_LE(sets.ToPayload().size(), ParameterSets::kMaxBytes);
  }
}

TEST(H264Inspector, WithOutOfBandParameterSetsAKeyframeBeginsAtTheIdr) {
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
