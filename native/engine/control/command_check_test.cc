// Settings that the engine refuses.
#include "engine/control/command_check.h"

#include <gtest/gtest.h>

#include <string>

namespace nexus {
namespace {

TEST(CommandCheck, RefusesInvalidCommands) {
  EXPECT_FALSE(CheckIceCredentials({"abcd", std::string(22, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"abc", std::string(22, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"abcd", std::string(21, 'p')}));
  EXPECT_TRUE(CheckIceCredentials({"ab:d", std::string(22, 'p')}));
  std::string sha256 = "00";
  for (int i = 0; i < 31; ++i) sha256 += ":AB";
  EXPECT_FALSE(CheckFingerprints({{"SHA-256", sha256}}));
  EXPECT_FALSE(CheckFingerprints({{"md5", "x"}, {"sha-256", sha256}})) << "unknown hashes are ignored";
  EXPECT_TRUE(CheckFingerprints({}));
  EXPECT_TRUE(CheckFingerprints({{"sha-1", "00"}}));
  EXPECT_TRUE(CheckFingerprints({{"sha-256", sha256 + ":00"}}));
  CodecBinding vp8;
  vp8.payload_type = PayloadType{96};
  vp8.clock_rate = 90'000;
  EXPECT_FALSE(CheckCodecs({vp8}));
  EXPECT_TRUE(CheckCodecs({vp8, vp8}));
  vp8.rtx_payload_type = PayloadType{72};
  EXPECT_TRUE(CheckCodecs({vp8})) << "would be taken for RTCP (RFC 5761 section 4)";
  TrackSettings track;
  EXPECT_TRUE(CheckTrack(track));
  track.mid = "0";
  EXPECT_FALSE(CheckTrack(track));
}

}  // namespace
}  // namespace nexus
