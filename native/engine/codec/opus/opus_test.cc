// Detection of silence in Opus packets.
#include "engine/codec/opus/opus.h"

#include <gtest/gtest.h>

#include <vector>

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t Toc(int config, bool stereo, int code) {
  return static_cast<uint8_t>(config << 3 | (stereo ? 4 : 0) | code);
}

TEST(Opus, EmptyPacketsHaveNoVoice) {
  EXPECT_EQ(OpusVoiceActivity({}), false);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(1, false, 0)}), false);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 0), 0xFF}), false);
}

TEST(Opus, ReadsTheVoiceFlag) {
  for (const int config : {0, 1, 4, 5, 8, 9, 12, 13, 14, 15}) {
    EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(config, false, 0), 0x80, 0, 0}), true) << config;
    EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(config, false, 0), 0x7F, 0xFF, 0xFF}), false) << config;
  }
  // 60 ms: three VAD flags, then the LBRR flag.
  for (const uint8_t flags : {0x80, 0x40, 0x20}) {
    EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(11, false, 0), flags, 0, 0}), true);
  }
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(11, false, 0), 0x1F, 0xFF, 0}), false);
  // Stereo: the side channel's VAD flag follows the mid channel's two flags.
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, true, 0), 0x20, 0, 0}), true);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, true, 0), 0x5F, 0, 0}), false);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(11, true, 0), 0x02, 0, 0}), true);
}

TEST(Opus, FindsTheFirstFrame) {
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 1), 0x80, 0, 0, 0}), true);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 2), 0x00, 0x80, 0, 0}), true);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 2), 0xFC, 0x00, 0x80, 0}), true);
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 2), 0xFC, 0x80}), std::nullopt) << "cut short";
  EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(9, false, 3), 0x80, 0x80, 0}), std::nullopt);
}

TEST(Opus, MusicModesHaveNoVoiceFlag) {
  for (int config = 16; config < 32; ++config) {
    EXPECT_EQ(OpusVoiceActivity(Bytes{Toc(config, false, 0), 0x80, 0, 0}), std::nullopt);
  }
}

}  // namespace
}  // namespace nexus
