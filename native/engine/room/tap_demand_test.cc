// A tap's demand on the publisher: how often a keyframe, and how large a picture.
#include <gtest/gtest.h>

#include <set>

#include "testing/emulated_options.h"
#include "testing/simulcast.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TapId kTap{501};

size_t KeyframesOf(const TapReading& reading) {
  std::set<int64_t> frames;
  for (const TapRecord& packet : reading.Of(TapRecord::kPacket)) {
    if (packet.keyframe()) frames.insert(packet.timestamp());
  }
  return frames.size();
}

struct OneCamera {
  OneCamera() {
    publisher = &call.Join();
    call.Publish(*publisher, MediaKind::kVideo);
    call.StartMedia(*publisher);
  }
  TestCall call{EmulatedOptions()};
  Member* publisher = nullptr;
};

TEST(TapDemand, RequestsAKeyframeInEachInterval) {
  OneCamera one;
  ASSERT_TRUE(one.call.RunUntilConnected());
  TapSettings settings;
  settings.demand.keyframe_interval = seconds(2);
  one.call.Command(AddTap{kTap, one.publisher->video_track, settings});
  one.call.RunFor(seconds(21));
  const size_t keyframes = KeyframesOf(one.call.taps[kTap]);
  EXPECT_GE(keyframes, 10u);
  EXPECT_LE(keyframes, 12u);
  // A changed demand replaces the interval.
  one.call.Command(UpdateTap{kTap, {}});
  one.call.RunFor(seconds(20));
  EXPECT_LE(KeyframesOf(one.call.taps[kTap]), keyframes + 1);
}

TEST(TapDemand, RequestsOfManyTapsAreJoined) {
  OneCamera one;
  ASSERT_TRUE(one.call.RunUntilConnected());
  for (uint32_t tap = 0; tap < 5; ++tap)
    one.call.Command(AddTap{TapId{kTap.value + tap}, one.publisher->video_track, {}});
  one.call.RunFor(seconds(1));
  one.publisher->video->plis.clear();
  for (int round = 0; round < 30; ++round) {
    for (uint32_t tap = 0; tap < 5; ++tap) one.call.Command(RefreshTap{TapId{kTap.value + tap}});
    one.call.RunFor(milliseconds(100));
  }
  const std::vector<Timestamp>& plis = one.publisher->video->plis;
  EXPECT_GE(plis.size(), 8u);
  for (size_t i = 1; i < plis.size(); ++i) EXPECT_GE(plis[i] - plis[i - 1], milliseconds(299));
}

struct Simulcast {
  Simulcast() {
    publisher = &call.Join();
    camera.emplace(call, *publisher, FoundBy::kRid);
    call.Command(ResizeTrack{camera->track(), {{320, 180}, {640, 360}, {1'280, 720}}});
  }
  // The encoding of the last packet.
  std::string rid() {
    const auto sources = call.taps[kTap].Of(TapRecord::kSource);
    return sources.empty() ? "" : sources.back().text;
  }
  std::string RidOf(size_t encoding) { return camera->encoding(encoding).options.rid; }

  TestCall call{EmulatedOptions()};
  Member* publisher = nullptr;
  std::optional<SimulcastCamera> camera;
};

TEST(TapDemand, FollowsTheLowestEncodingThatIsLargeEnough) {
  Simulcast scene;
  ASSERT_TRUE(scene.call.RunUntilConnected());
  TapSettings settings;
  settings.demand.max_width = 640;
  settings.demand.max_height = 360;
  scene.call.Command(AddTap{kTap, scene.camera->track(), settings});
  scene.call.RunFor(seconds(3));
  EXPECT_EQ(scene.rid(), scene.RidOf(1));
  const auto demand_of = [&]() -> LayerDemand {
    const auto changes = scene.call.EventsOf<LayerDemandChanged>();
    return changes.empty() ? kHighestLayer : changes.back().highest;
  };
  scene.call.RunFor(seconds(10));
  ASSERT_TRUE(demand_of().has_value());
  EXPECT_EQ(demand_of()->spatial, 1) << "dynacast may stop the highest encoding";

  scene.call.Command(UpdateTap{kTap, {Duration{0}, 1'280, 720}});
  scene.call.RunFor(seconds(3));
  EXPECT_EQ(scene.rid(), scene.RidOf(2));
  EXPECT_EQ(demand_of()->spatial, 2);

  scene.call.Command(UpdateTap{kTap, {Duration{0}, 320, 180}});
  scene.call.RunFor(seconds(3));
  EXPECT_EQ(scene.rid(), scene.RidOf(0));
  EXPECT_EQ(scene.call.taps[kTap].Faults(true), "");
}

TEST(TapDemand, TakesALargerEncodingWhileTheWantedOneIsSilent) {
  Simulcast scene;
  ASSERT_TRUE(scene.call.RunUntilConnected());
  TapSettings settings;
  settings.demand.max_width = 320;
  settings.demand.max_height = 180;
  scene.call.Command(AddTap{kTap, scene.camera->track(), settings});
  scene.call.RunFor(seconds(2));
  EXPECT_EQ(scene.rid(), scene.RidOf(0));
  scene.camera->Pause(0, true);
  scene.call.RunFor(seconds(4));
  EXPECT_EQ(scene.rid(), scene.RidOf(1));
  scene.camera->Pause(0, false);
  scene.call.RunFor(seconds(4));
  EXPECT_EQ(scene.rid(), scene.RidOf(0));
  EXPECT_EQ(scene.call.taps[kTap].Faults(true), "");
}

}  // namespace
}  // namespace nexus::testing
