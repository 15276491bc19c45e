// Protocols are distinguished by the first two bytes of a datagram.
#include "engine/rtp/demultiplexer.h"

#include <gtest/gtest.h>

#include <array>

namespace nexus {
namespace {

TEST(Demultiplexer, FollowsRfc7983AndRfc5761) {
  const auto of = [](uint8_t first, uint8_t second) {
    const std::array<uint8_t, 2> bytes = {first, second};
    return Demultiplex(bytes);
  };
  EXPECT_EQ(of(0, 1), Protocol::kStun);
  EXPECT_EQ(of(3, 0), Protocol::kStun);
  EXPECT_EQ(of(4, 0), Protocol::kUnknown);
  EXPECT_EQ(of(19, 0), Protocol::kUnknown);
  EXPECT_EQ(of(20, 254), Protocol::kDtls);
  EXPECT_EQ(of(63, 254), Protocol::kDtls);
  EXPECT_EQ(of(64, 0), Protocol::kUnknown);
  EXPECT_EQ(of(128, 96), Protocol::kRtp);
  EXPECT_EQ(of(191, 224), Protocol::kRtp);
  EXPECT_EQ(of(128, 200), Protocol::kRtcp);
  EXPECT_EQ(of(128, 206), Protocol::kRtcp);
  EXPECT_EQ(of(192, 200), Protocol::kUnknown);
  EXPECT_EQ(Demultiplex({}), Protocol::kUnknown);
}

}  // namespace
}  // namespace nexus
