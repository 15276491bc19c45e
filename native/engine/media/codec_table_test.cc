// Choice of the codec that carries a stream.
#include "engine/media/codec_table.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

CodecBinding H264(uint8_t type, uint32_t profile, int mode) {
  CodecBinding binding;
  binding.payload_type = PayloadType{type};
  binding.codec = Codec::kH264;
  binding.clock_rate = 90'000;
  binding.h264_profile_level_id = profile;
  binding.h264_packetization_mode = mode;
  return binding;
}

// Hard problem 20: mismatched profile-level-id.
TEST(CodecTable, FindsTheBindingThatCanCarryAStream) {
  const CodecTable table({H264(100, 0x42E01F, 1), H264(102, 0x42E01F, 0), H264(104, 0x640C1F, 1)});
  ASSERT_NE(table.Matching(H264(50, 0x42E034, 1)), nullptr);
  EXPECT_EQ(table.Matching(H264(50, 0x42E034, 1))->payload_type.value, 100) << "the level may differ";
  EXPECT_EQ(table.Matching(H264(50, 0x42E01F, 0))->payload_type.value, 102);
  EXPECT_EQ(table.Matching(H264(50, 0x640C28, 1))->payload_type.value, 104);
  EXPECT_EQ(table.Matching(H264(50, 0x42001F, 1))->payload_type.value, 100)
      << "baseline to constrained baseline";
  EXPECT_EQ(table.Matching(H264(50, 0x4D001F, 1)), nullptr) << "main is neither";
  CodecBinding vp8;
  vp8.codec = Codec::kVp8;
  EXPECT_EQ(table.Matching(vp8), nullptr);
  EXPECT_EQ(table.ByPayloadType(PayloadType{102})->h264_packetization_mode, 0);
  EXPECT_EQ(table.ByPayloadType(PayloadType{200}), nullptr);
}

}  // namespace
}  // namespace nexus
