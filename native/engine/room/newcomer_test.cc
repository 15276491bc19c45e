// People who come while others watch: they see a low picture at once, a better one when there is a keyframe
// of it, and what that takes is bounded, because every keyframe goes to all.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Audience {
  explicit Audience(uint64_t seed) : call(EmulatedOptions(seed)), publisher(call.Join()) {
    call.PublishSimulcast(publisher, {{1, 600}, {2, 1'100}, {6, 1'100}});  // 120, 440, 1,320 kbit/s
    call.StartMedia(publisher);
  }
  Member& Come() {
    Member& viewer = call.Join();
    call.AddSlot(viewer, MediaKind::kVideo);
    call.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
    call.StartMedia(viewer);
    return viewer;
  }
  const SubscriberSlot& Slot(const Member& viewer) {
    return *call.shard().FindTransport(viewer.transport)->slots()[0];
  }
  // Which encodings it is shown, in this order.
  std::vector<int> Shown(const Member& viewer, Duration within) {
    std::vector<int> shown;
    call.RunUntil(within, [&] {
      const auto layer = Slot(viewer).CurrentLayer();
      if (layer && (shown.empty() || shown.back() != layer->spatial)) shown.push_back(layer->spatial);
      return false;
    });
    return shown;
  }
  EmulatedCall call;
  Member& publisher;
};

TEST(Newcomer, BeginsLowInACrowdAndGoesUpWithoutTurningBack) {
  for (const int64_t later_ms : {0, 30, 150, 350, 700}) {
    SCOPED_TRACE(later_ms);
    Audience audience(11);
    const Member& first = audience.Come();
    for (int i = 0; i < 30; ++i) audience.Come();
    ASSERT_TRUE(audience.call.RunUntilConnected());
    audience.call.RunFor(seconds(6));
    audience.publisher.encodings[2]->keyframe_wanted = true;
    audience.publisher.encodings[0]->keyframe_wanted = true;
    audience.call.RunFor(milliseconds(later_ms));
    const Member& newcomer = audience.Come();
    const std::vector<int> shown = audience.Shown(newcomer, seconds(4));
    ASSERT_FALSE(shown.empty());
    EXPECT_LT(shown.front(), 2) << "nothing is known of its path";
    EXPECT_EQ(shown.back(), 2);
    EXPECT_TRUE(std::is_sorted(shown.begin(), shown.end()));
    EXPECT_EQ(audience.Slot(first).CurrentLayer()->spatial, 2);
  }
}

TEST(Newcomer, ManyOfThemCostThePublisherFewKeyframes) {
  constexpr int kThere = 60;
  constexpr int kComing = 30;
  Audience audience(12);
  for (int i = 0; i < kThere; ++i) audience.Come();
  ASSERT_TRUE(audience.call.RunUntilConnected());
  audience.call.RunFor(seconds(6));
  for (PublishedStream* encoding : audience.publisher.encodings) encoding->plis.clear();
  std::vector<Member*> newcomers;
  for (int i = 0; i < kComing; ++i) {
    newcomers.push_back(&audience.Come());
    audience.call.RunFor(milliseconds(200));
  }
  // Whoever is shown a low picture waits 300 ms and 7 for each viewer for a better one.
  EXPECT_LE(audience.publisher.encodings[2]->plis.size(), 9u);
  EXPECT_LE(audience.publisher.encodings[1]->plis.size(), 9u);
  audience.call.RunFor(seconds(2));
  for (const Member* newcomer : newcomers) {
    ASSERT_TRUE(audience.Slot(*newcomer).CurrentLayer());
    EXPECT_EQ(audience.Slot(*newcomer).CurrentLayer()->spatial, 2);
  }
}

// Whoever would have to pay for a better picture is few here: it comes soon.
TEST(Newcomer, AloneIsShownTheBestWithinASecond) {
  Audience audience(13);
  const Member& viewer = audience.Come();
  ASSERT_TRUE(audience.call.RunUntilConnected());
  EXPECT_TRUE(audience.call.RunUntil(seconds(1), [&] {
    const auto layer = audience.Slot(viewer).CurrentLayer();
    return layer && layer->spatial == 2;
  }));
}

}  // namespace
}  // namespace nexus::testing
