// Bitrates by layer, also of a stream with few frames.
#include "engine/forward/layer_meter.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

Timestamp At(int64_t ms) { return TimestampFromMicros(10'000'000 + ms * 1000); }

TEST(LayerMeter, CountsEachLayerSeparately) {
  LayerMeter meter;
  for (int frame = 0; frame < 100; ++frame) {
    // 25 frames a second: two spatial layers, every other frame of the upper temporal layer.
    const auto temporal = static_cast<uint8_t>(frame % 2);
    meter.OnPacket(0, temporal, 1000, true, At(frame * 40));
    meter.OnPacket(1, temporal, 3000, false, At(frame * 40));
  }
  const LayerRates rates = meter.Rates(At(4000));
  EXPECT_NEAR(static_cast<double>(rates[0][0]), 100'000, 5000);
  EXPECT_NEAR(static_cast<double>(rates[0][1]), 100'000, 5000);
  EXPECT_NEAR(static_cast<double>(rates[1][0]), 300'000, 15'000);
  EXPECT_EQ(rates[2][0], 0u);
}

TEST(LayerMeter, MeasuresEarlyAndThenByWindows) {
  LayerMeter meter;
  EXPECT_EQ(meter.Rates(At(0))[0][0], 0u);
  for (int frame = 0; frame < 10; ++frame) meter.OnPacket(0, 0, 1000, true, At(frame * 40));
  EXPECT_EQ(meter.Rates(At(100))[0][0], 0u) << "too early to tell";
  EXPECT_NEAR(static_cast<double>(meter.Rates(At(400))[0][0]), 200'000, 1000);
}

// A shared screen at less than one frame a second: some seconds have no frame.
TEST(LayerMeter, WaitsLongerForASlowScreen) {
  LayerMeter meter;
  for (int frame = 0; frame < 20; ++frame) meter.OnPacket(0, 0, 10'000, true, At(frame * 1300));
  EXPECT_NEAR(static_cast<double>(meter.Rates(At(26'000))[0][0]), 80'000 / 1.3, 10'000);
}

}  // namespace
}  // namespace nexus
