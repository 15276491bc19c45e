// Simulcast through the shard in emulated time: encodings are found by RID and by SSRC, switched without a
// gap, and reported as unwanted when no subscriber uses them. Hard problems 2, 22 and 25.
#include "testing/simulcast.h"

#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Scene {
  explicit Scene(TestCall& emulated, FoundBy found_by)
      : call(emulated), publisher(call.Join()), subscriber(call.Join()), camera(call, publisher, found_by) {
    call.AddSlot(subscriber, MediaKind::kVideo);
    call.Command(BindSlot{subscriber.slots[0].id, camera.track()});
    call.StartMedia(subscriber);
  }
  SubscriberSlot& slot() { return *call.shard().FindTransport(subscriber.transport)->slots()[0]; }
  ReceivedStream& video() { return *subscriber.slots[0].stream; }
  void WantAtMost(uint8_t spatial) {
    SlotView view;
    view.max = LayerTarget{spatial, kMaxTemporalLayers - 1};
    call.Command(SetSlotView{subscriber.slots[0].id, view});
  }
  bool Reaches(uint8_t spatial, Duration within = seconds(10)) {
    return call.RunUntil(within, [&] {
      const auto layer = slot().CurrentLayer();
      return layer && layer->spatial == spatial;
    });
  }
  // Encodings in the order in which they were shown.
  std::vector<size_t> Shown() {
    std::vector<size_t> shown;
    for (const auto& [number, packet] : video().packets) {
      const auto encoding = packet.mark ? camera.EncodingOf(packet.mark->mark) : std::nullopt;
      if (encoding && (shown.empty() || shown.back() != *encoding)) shown.push_back(*encoding);
    }
    return shown;
  }
  TestCall& call;
  Member& publisher;
  Member& subscriber;
  SimulcastCamera camera;
};

class Simulcast : public ::testing::TestWithParam<FoundBy> {};

TEST_P(Simulcast, SwitchesUpAndDownWithoutAGap) {
  TestCall call(EmulatedOptions(41));
  Scene scene(call, GetParam());
  ASSERT_TRUE(call.RunUntilConnected());
  ASSERT_TRUE(scene.Reaches(2)) << "the highest without preferences";
  std::uniform_int_distribution<int64_t> pause(50'000, 400'000);
  for (int i = 0; i < 24; ++i) {
    const auto wanted = static_cast<uint8_t>(i % 2 == 0 ? 0 : 1 + i % 4 / 2);
    scene.WantAtMost(wanted);
    ASSERT_TRUE(scene.Reaches(wanted)) << "switch " << i;
    call.RunFor(Duration(pause(call.network().random())));
  }
  EXPECT_EQ(scene.video().Faults(scene.camera.csrcs()), "");
  EXPECT_TRUE(scene.video().Missing().size() <= 24u);
  EXPECT_GE(scene.Shown().size(), 24u);
  EXPECT_GE(scene.slot().Stats().layer_switches, 24u);
  // The shard receives and reports on all encodings, whether or not they are forwarded.
  for (size_t i = 0; i < SimulcastCamera::kEncodings; ++i)
    EXPECT_FALSE(scene.camera.encoding(i).reports.empty());
}

TEST_P(Simulcast, UnderLossEveryEncodingIsRepairedAndSwitchesGoOn) {
  TestCall call(EmulatedOptions(43));
  call.network().conditions = {.loss = 0.03, .delay = milliseconds(15), .jitter = milliseconds(8)};
  Scene scene(call, GetParam());
  ASSERT_TRUE(call.RunUntilConnected());
  for (int i = 0; i < 16; ++i) {
    scene.WantAtMost(static_cast<uint8_t>(i % 3));
    call.RunFor(milliseconds(900));
  }
  call.network().conditions = {};
  scene.WantAtMost(1);
  ASSERT_TRUE(scene.Reaches(1));
  call.RunFor(seconds(1));
  for (size_t i = 0; i < SimulcastCamera::kEncodings; ++i)
    EXPECT_GT(scene.camera.encoding(i).nacked, 0u) << i;
  // Timestamps advance and sources begin with keyframes under any loss; only frames that a switch cut off
  // have gaps.
  const std::string faults = scene.video().Faults(scene.camera.csrcs());
  EXPECT_EQ(faults.find("without a keyframe"), std::string::npos) << faults;
  EXPECT_EQ(faults.find("time steps"), std::string::npos) << faults;
  EXPECT_GE(scene.Shown().size(), 8u);
}

// Hard problem 22: Firefox pauses its lowest encoding and Chromium its highest, without signaling it.
TEST_P(Simulcast, FallsBackWhenAnEncodingStopsAndReturnsWhenItResumes) {
  TestCall call(EmulatedOptions(47));
  Scene scene(call, GetParam());
  ASSERT_TRUE(call.RunUntilConnected());
  ASSERT_TRUE(scene.Reaches(2));
  scene.camera.Pause(2, true);
  ASSERT_TRUE(scene.Reaches(1, seconds(2)));
  scene.camera.Pause(2, false);
  ASSERT_TRUE(scene.Reaches(2, seconds(10)));
  scene.WantAtMost(0);
  ASSERT_TRUE(scene.Reaches(0));
  scene.camera.Pause(0, true);
  ASSERT_TRUE(scene.Reaches(1, seconds(2))) << "the lowest active one";
  scene.camera.Pause(0, false);
  ASSERT_TRUE(scene.Reaches(0, seconds(3)));
  call.RunFor(seconds(1));
  EXPECT_EQ(scene.video().Faults(scene.camera.csrcs()), "");
}

TEST_P(Simulcast, MeasuresEachEncoding) {
  TestCall call(EmulatedOptions(53));
  Scene scene(call, GetParam());
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  call.Command(RequestStats{77, std::nullopt});
  call.RunFor(milliseconds(10));
  const auto reports = call.EventsOf<StatsReady>();
  ASSERT_EQ(reports.size(), 1u);
  ASSERT_EQ(reports[0].tracks.size(), 1u);
  const LayerRates& rates = reports[0].tracks[0].layer_bitrates;
  ASSERT_GT(rates[0][0], 0u);
  EXPECT_NEAR(static_cast<double>(rates[1][0]) / static_cast<double>(rates[0][0]), 2, 0.1)
      << "with twice the packets";
  EXPECT_NEAR(static_cast<double>(rates[2][0]) / static_cast<double>(rates[0][0]), 4, 0.2);
  EXPECT_EQ(rates[3][0], 0u);
  EXPECT_EQ(rates[0][1], 0u);
}

INSTANTIATE_TEST_SUITE_P(FoundBy, Simulcast, ::testing::Values(FoundBy::kRid, FoundBy::kSsrc),
                         [](const auto& info) { return info.param == FoundBy::kRid ? "Rid" : "Ssrc"; });

// Dynacast: the demand rises at once, falls after a delay, and is empty without subscribers.
TEST(Dynacast, ReportsTheHighestDemand) {
  TestCall call(EmulatedOptions(59));
  Scene scene(call, FoundBy::kRid);
  ASSERT_TRUE(call.RunUntilConnected());
  scene.WantAtMost(1);
  call.RunFor(seconds(2));
  EXPECT_TRUE(call.EventsOf<LayerDemandChanged>().empty()) << "not at once";
  call.RunFor(seconds(4));
  ASSERT_EQ(call.EventsOf<LayerDemandChanged>().size(), 1u);
  EXPECT_EQ(call.EventsOf<LayerDemandChanged>().back().track, scene.camera.track());
  EXPECT_EQ(call.EventsOf<LayerDemandChanged>().back().highest, (LayerTarget{1, 3}));
  scene.WantAtMost(2);
  call.RunFor(milliseconds(50));
  ASSERT_EQ(call.EventsOf<LayerDemandChanged>().size(), 2u) << "at once";
  EXPECT_EQ(call.EventsOf<LayerDemandChanged>().back().highest, (LayerTarget{2, 3}));
  call.Command(UnbindSlot{scene.subscriber.slots[0].id});
  call.RunFor(seconds(6));
  ASSERT_EQ(call.EventsOf<LayerDemandChanged>().size(), 3u);
  EXPECT_FALSE(call.EventsOf<LayerDemandChanged>().back().highest) << "without subscribers";
  call.Command(BindSlot{scene.subscriber.slots[0].id, scene.camera.track()});
  call.RunFor(milliseconds(50));
  ASSERT_EQ(call.EventsOf<LayerDemandChanged>().size(), 4u);
  EXPECT_TRUE(call.EventsOf<LayerDemandChanged>().back().highest);
}

// Many subscribers that wait for one encoding cause one request.
TEST(SimulcastKeyframes, AreRequestedOnceForManySubscribers) {
  TestCall call(EmulatedOptions(61));
  Scene scene(call, FoundBy::kSsrc);
  std::vector<Member*> watchers;
  for (int i = 0; i < 20; ++i) {
    Member& member = call.Join();
    call.AddSlot(member, MediaKind::kVideo);
    call.Command(BindSlot{member.slots[0].id, scene.camera.track()});
    watchers.push_back(&member);
  }
  ASSERT_TRUE(call.RunUntilConnected());
  ASSERT_TRUE(scene.Reaches(2));
  call.RunFor(seconds(3));
  for (size_t i = 0; i < 3; ++i) scene.camera.encoding(i).plis.clear();
  SlotView low;
  low.max = LayerTarget{0, 3};
  for (Member* member : watchers) call.Command(SetSlotView{member->slots[0].id, low});
  call.RunFor(milliseconds(250));
  EXPECT_EQ(scene.camera.encoding(0).plis.size(), 1u);
  EXPECT_TRUE(scene.camera.encoding(1).plis.empty());
}

}  // namespace
}  // namespace nexus::testing
