// A subscriber that begins to watch shortly after a keyframe receives it from the keyframe cache (hard
// problem 1).
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A camera, and connected viewers that do not watch yet.
struct Audience {
  explicit Audience(uint64_t seed, size_t count = 1) : call(EmulatedOptions(seed)), publisher(call.Join()) {
    call.Publish(publisher, MediaKind::kVideo);
    call.StartMedia(publisher);
    for (size_t i = 0; i < count; ++i) {
      viewers.push_back(&call.Join({.transport_feedback = false}));
      viewers.back()->peer->fraction_lost = 0;
      call.AddSlot(*viewers.back(), MediaKind::kVideo);
      call.StartMedia(*viewers.back());
    }
  }
  void Connect() {
    ASSERT_TRUE(call.RunUntilConnected());
    call.RunFor(seconds(2));
    publisher.video->plis.clear();
  }
  // The publisher makes a keyframe without a request.
  void Keyframe() {
    publisher.video->keyframe_wanted = true;
    const uint64_t before = publisher.video->keyframes;
    ASSERT_TRUE(call.RunUntil(seconds(1), [&] { return publisher.video->keyframes > before; }));
    call.RunFor(milliseconds(15));  // it has reached the shard
  }
  void Watch(size_t who = 0) { call.Command(BindSlot{viewers[who]->slots[0].id, publisher.video_track}); }
  ReceivedStream& seen(size_t who = 0) { return *viewers[who]->slots[0].stream; }
  uint64_t Replays() {
    call.Command(RequestStats{1, call.room()});
    call.RunFor(milliseconds(1));
    return call.EventsOf<StatsReady>().back().tracks.at(0).keyframe_replays;
  }

  TestCall call;
  Member& publisher;
  std::vector<Member*> viewers;
};

TEST(KeyframeReplay, AFreshKeyframeIsSentAtOnceWithoutAPli) {
  for (const int64_t wait_ms : {0, 50, 100, 200, 300, 370}) {
    SCOPED_TRACE(wait_ms);
    Audience audience(1);
    audience.Connect();
    audience.Keyframe();
    const uint32_t keyframe = audience.publisher.video->frames;
    audience.call.RunFor(milliseconds(wait_ms));
    const Timestamp asked = audience.call.now();
    audience.Watch();
    ASSERT_TRUE(audience.call.RunUntil(seconds(1), [&] { return !audience.seen().packets.empty(); }));
    EXPECT_LE(audience.call.now() - asked, milliseconds(15)) << "one way";
    audience.call.RunFor(seconds(2));
    const ReceivedPacket& first = audience.seen().packets.begin()->second;
    EXPECT_TRUE(first.keyframe_start);
    EXPECT_EQ(first.mark->frame, keyframe);
    EXPECT_TRUE(audience.publisher.video->plis.empty());
    EXPECT_EQ(audience.seen().Faults(audience.call.csrcs()), "");
    EXPECT_GT(audience.seen().packets.size(), 140u) << "live media follows";
    EXPECT_EQ(audience.Replays(), 1u);
  }
}

TEST(KeyframeReplay, AnOldKeyframeIsNotReplayed) {
  Audience audience(2);
  audience.Connect();
  audience.Keyframe();
  audience.call.RunFor(milliseconds(420));
  audience.Watch();
  audience.call.RunFor(seconds(1));
  EXPECT_EQ(audience.publisher.video->plis.size(), 1u);
  EXPECT_EQ(audience.seen().Faults(audience.call.csrcs()), "");
  EXPECT_EQ(audience.Replays(), 0u);
}

TEST(KeyframeReplay, AKeyframeFromBeforeAMuteIsNotReplayed) {
  Audience audience(3);
  audience.Connect();
  audience.Keyframe();
  audience.call.Command(MuteTrack{audience.publisher.video_track, true});
  audience.call.Command(MuteTrack{audience.publisher.video_track, false});
  audience.Watch();
  audience.call.RunFor(milliseconds(5));
  EXPECT_TRUE(audience.seen().packets.empty());
  EXPECT_EQ(audience.Replays(), 0u);
  audience.call.RunFor(seconds(1));
  EXPECT_GT(audience.seen().packets.size(), 30u);
}

// The slot alternates between two publishers, with and without replays.
TEST(KeyframeReplay, ARebindToAFreshKeyframeLeavesNoGap) {
  Audience audience(4);
  Member& other = audience.call.Join();
  audience.call.Publish(other, MediaKind::kVideo);
  audience.call.StartMedia(other);
  audience.Connect();
  audience.Watch();
  audience.call.RunFor(seconds(1));
  std::uniform_int_distribution<int64_t> pause(20'000, 500'000);
  for (int i = 0; i < 40; ++i) {
    Member& next = i % 2 == 0 ? other : audience.publisher;
    next.video->keyframe_wanted = true;
    audience.call.RunFor(Duration(pause(audience.call.network().random())));
    audience.call.Command(BindSlot{audience.viewers[0]->slots[0].id, next.video_track});
    audience.call.RunFor(Duration(pause(audience.call.network().random())));
  }
  audience.call.RunFor(seconds(1));
  EXPECT_EQ(audience.seen().Faults(audience.call.csrcs()), "");
  EXPECT_GT(audience.Replays(), 5u);
}

// 500 viewers begin to watch within a second. Each is shown video within a second, at the cost of one PLI per
// 300 ms.
TEST(KeyframeReplay, AStormOfViewersIsServedFromTheCache) {
  constexpr size_t kViewers = 500;
  Audience audience(5, kViewers);
  audience.Connect();
  std::vector<Timestamp> asked;
  for (size_t i = 0; i < kViewers; ++i) {
    asked.push_back(audience.call.now());
    audience.Watch(i);
    audience.call.RunFor(milliseconds(2));
  }
  audience.call.RunFor(seconds(1));
  for (size_t i = 0; i < kViewers; ++i) {
    ASSERT_FALSE(audience.seen(i).packets.empty());
    EXPECT_LE(audience.seen(i).packets.begin()->second.arrival - asked[i], seconds(1));
    EXPECT_EQ(audience.seen(i).Faults(audience.call.csrcs()), "");
  }
  const std::vector<Timestamp>& plis = audience.publisher.video->plis;
  for (size_t i = 1; i < plis.size(); ++i) EXPECT_GE(plis[i] - plis[i - 1], milliseconds(299));
  EXPECT_LE(plis.size(), 4u);
  EXPECT_GT(audience.Replays(), kViewers / 2);
}

}  // namespace
}  // namespace nexus::testing
