// Viewers that join while others watch. They are shown a low layer at once and a higher one when it has a
// keyframe. The number of keyframes that this costs is bounded, because each is sent to all viewers.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Audience {
  explicit Audience(uint64_t seed) : call(EmulatedOptions(seed)), publisher(call.Join()) {
    call.PublishSimulcast(publisher, {{1, 600}, {2, 1'100}, {6, 1'100}});  // 120, 440, 1,320 kbit/s
    call.StartMedia(publisher);
  }
  Member& Join() {
    Member& viewer = call.Join();
    call.AddSlot(viewer, MediaKind::kVideo);
    call.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
    call.StartMedia(viewer);
    return viewer;
  }
  const SubscriberSlot& Slot(const Member& viewer) {
    return *call.shard().FindTransport(viewer.transport)->slots()[0];
  }
  // The encodings that the viewer is shown, in order.
  std::vector<int> Shown(const Member& viewer, Duration within) {
    std::vector<int> shown;
    call.RunUntil(within, [&] {
      const auto layer = Slot(viewer).CurrentLayer();
      if (layer && (shown.empty() || shown.back() != layer->spatial)) shown.push_back(layer->spatial);
      return false;
    });
    return shown;
  }
  TestCall call;
  Member& publisher;
};

TEST(Newcomer, BeginsLowAmongManyViewersAndOnlyGoesUp) {
  for (const int64_t later_ms : {0, 30, 150, 350, 700}) {
    SCOPED_TRACE(later_ms);
    Audience audience(11);
    const Member& first = audience.Join();
    for (int i = 0; i < 30; ++i) audience.Join();
    ASSERT_TRUE(audience.call.RunUntilConnected());
    audience.call.RunFor(seconds(6));
    audience.publisher.encodings[2]->keyframe_wanted = true;
    audience.publisher.encodings[0]->keyframe_wanted = true;
    audience.call.RunFor(milliseconds(later_ms));
    const Member& newcomer = audience.Join();
    const std::vector<int> shown = audience.Shown(newcomer, seconds(4));
    ASSERT_FALSE(shown.empty());
    EXPECT_LT(shown.front(), 2) << "its path is unknown";
    EXPECT_EQ(shown.back(), 2);
    EXPECT_TRUE(std::is_sorted(shown.begin(), shown.end()));
    EXPECT_EQ(audience.Slot(first).CurrentLayer()->spatial, 2);
  }
}

TEST(Newcomer, ManyCostThePublisherFewKeyframes) {
  constexpr int kWatching = 60;
  constexpr int kJoining = 30;
  Audience audience(12);
  for (int i = 0; i < kWatching; ++i) audience.Join();
  ASSERT_TRUE(audience.call.RunUntilConnected());
  audience.call.RunFor(seconds(6));
  for (PublishedStream* encoding : audience.publisher.encodings) encoding->plis.clear();
  std::vector<Member*> newcomers;
  for (int i = 0; i < kJoining; ++i) {
    newcomers.push_back(&audience.Join());
    audience.call.RunFor(milliseconds(200));
  }
  // A viewer of a low layer waits 300 ms, and 7 ms for each other viewer, before it requests a higher one.
  EXPECT_LE(audience.publisher.encodings[2]->plis.size(), 9u);
  EXPECT_LE(audience.publisher.encodings[1]->plis.size(), 9u);
  audience.call.RunFor(seconds(2));
  for (const Member* newcomer : newcomers) {
    ASSERT_TRUE(audience.Slot(*newcomer).CurrentLayer());
    EXPECT_EQ(audience.Slot(*newcomer).CurrentLayer()->spatial, 2);
  }
}

// A keyframe costs few viewers here, so the wait is short.
TEST(Newcomer, AloneIsShownTheHighestLayerWithinASecond) {
  Audience audience(13);
  const Member& viewer = audience.Join();
  ASSERT_TRUE(audience.call.RunUntilConnected());
  EXPECT_TRUE(audience.call.RunUntil(seconds(1), [&] {
    const auto layer = audience.Slot(viewer).CurrentLayer();
    return layer && layer->spatial == 2;
  }));
}

}  // namespace
}  // namespace nexus::testing
