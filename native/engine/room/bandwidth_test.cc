// Send-side bandwidth estimation in calls: a simulcast publisher and subscribers behind bottlenecks, with
// SRTP and RTCP, in emulated time. A "hard problem" is a row of the design's list of faults that other media
// servers had.
#include <gtest/gtest.h>

#include "testing/bandwidth_scene.h"
#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

BandwidthSceneOptions Options(uint64_t seed = 1) {
  BandwidthSceneOptions options;
  options.call = EmulatedOptions(seed);
  return options;
}

class Bandwidth : public ::testing::TestWithParam<uint64_t> {
 protected:
  Bandwidth() : trace_(__FILE__, __LINE__, "seed " + std::to_string(GetParam())) {}
  BandwidthScene Scene(int subscribers = 1) {
    BandwidthSceneOptions options = Options(GetParam());
    options.subscribers = subscribers;
    return BandwidthScene(options);
  }

 private:
  ::testing::ScopedTrace trace_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, Bandwidth, ::testing::Range<uint64_t>(1, 13));

TEST_P(Bandwidth, OnOneMegabitTheHighestLayersThatFitAreSentWithoutLossOrQueue) {
  BandwidthScene scene = Scene();
  scene.Narrow({0}, 1'000'000, 50'000);
  scene.call.RunFor(seconds(8));
  const SceneShare seen = scene.Observe(0, seconds(20));
  EXPECT_GT(seen.lowest_estimate, 850'000);
  EXPECT_LT(seen.highest_estimate, 1'150'000);
  EXPECT_LT(seen.loss, 0.02);
  EXPECT_LT(seen.longest_queue, milliseconds(100));
  EXPECT_EQ(scene.Spatial(0), 1);
  EXPECT_EQ(seen.layer_changes, 0);
  EXPECT_EQ(scene.Unrepaired(0), 0u);
}

TEST_P(Bandwidth, WithoutABottleneckTheTopLayerComesAtOnceAndStays) {
  BandwidthScene scene = Scene();
  scene.call.RunFor(seconds(2));
  EXPECT_EQ(scene.Spatial(0), 2);
  EXPECT_EQ(scene.Observe(0, seconds(20)).layer_changes, 0);
  EXPECT_EQ(scene.Unrepaired(0), 0u);
}

TEST_P(Bandwidth, AfterADropVideoIsUnderTheLimitWithinTwoSecondsAndBackWithinFive) {
  BandwidthScene scene = Scene();
  const auto link = scene.Narrow({0}, 3'000'000, 60'000);
  scene.call.RunFor(seconds(8));
  EXPECT_EQ(scene.Spatial(0), 2);
  link->SetRate(500'000, scene.call.now());
  link->TakeLongestDelay();
  scene.call.RunFor(milliseconds(1'400));
  // Two feedback intervals pass before the estimator notices that 820 kbit/s are too much. The queue of
  // 60,000 bytes would hold a second.
  EXPECT_LT(link->TakeLongestDelay(), milliseconds(700));
  EXPECT_LT(link->Delay(scene.call.now()), milliseconds(100)) << "the queue has drained";
  scene.call.RunFor(milliseconds(600));
  const SceneShare low = scene.Observe(0, seconds(10));
  EXPECT_LT(low.sent_bps, 500'000);
  EXPECT_LT(low.loss, 0.02);
  EXPECT_LT(scene.AudioLoss(0), 0.01);
  link->SetRate(3'000'000, scene.call.now());
  EXPECT_TRUE(scene.call.RunUntil(seconds(5), [&] { return scene.Spatial(0) == 2; }));
}

// Hard problem 7: without media there are no probes, and without probes no media.
TEST_P(Bandwidth, RecoversAfterTenSecondsOfAlmostNoCapacity) {
  BandwidthScene scene = Scene();
  const auto link = scene.Narrow({0}, 3'000'000, 60'000);
  scene.call.RunFor(seconds(8));
  link->SetRate(100'000, scene.call.now());
  scene.call.RunFor(seconds(10));
  EXPECT_FALSE(scene.call.EventsOf<SlotPaused>().empty()) << "the lowest layer does not fit beside the audio";
  link->SetRate(3'000'000, scene.call.now());
  EXPECT_TRUE(scene.call.RunUntil(seconds(5), [&] { return scene.Spatial(0) == 2; }));
  EXPECT_FALSE(scene.call.EventsOf<SlotPaused>().back().paused);
}

TEST_P(Bandwidth, UnderTenPercentRandomLossNearlyEveryPacketArrivesWithinThreeRoundTrips) {
  BandwidthScene scene = Scene();
  LinkConditions lossy;
  lossy.loss = 0.10;
  lossy.delay = milliseconds(40);
  const Duration round_trip = lossy.delay + scene.call.network().conditions.delay;
  scene.SetConditions(0, lossy);
  scene.call.RunFor(seconds(8));  // probes are lost as well, so the start takes longer
  EXPECT_EQ(scene.Spatial(0), 2) << "random loss does not lower the layer";
  const Timestamp from = scene.call.now();
  scene.call.RunFor(seconds(20));
  const Timestamp until = scene.call.now();
  scene.call.RunFor(seconds(1));
  // The loss of a frame's last packet is noticed with the next frame, 40 ms later. A packet may be lost
  // repeatedly.
  const Duration frame = milliseconds(40);
  EXPECT_GT(scene.DeliveredWithin(0, from, until, 3 * round_trip + frame, lossy.delay), 0.99);
  EXPECT_EQ(scene.Spatial(0), 2);
}

TEST_P(Bandwidth, TwoSubscribersOnOneLinkGetTheSame) {
  BandwidthScene scene = Scene(2);
  scene.Narrow({0, 1}, 1'600'000, 60'000);
  scene.call.RunFor(seconds(20));
  const SceneShare seen = scene.Observe(0, seconds(40));
  const double first = static_cast<double>(seen.received_bps[0]);
  const double second = static_cast<double>(seen.received_bps[1]);
  EXPECT_GT(first / (first + second), 0.35);
  EXPECT_LT(first / (first + second), 0.65);
  EXPECT_LT(seen.loss, 0.03);
  // Both receive the middle layer (half a megabit with the audio) nearly all the time.
  EXPECT_GT(first + second, 850'000);
}

// Hard problem 4: probes reach the receiver as repeats or padding on the retransmission stream, never as a
// gap.
TEST_P(Bandwidth, ProbesLeaveNoTraceInTheStream) {
  BandwidthScene scene = Scene();
  scene.Narrow({0}, 1'000'000, 50'000);
  scene.call.RunFor(seconds(20));
  const TransportStats report = scene.Stats(0);
  EXPECT_GT(report.probe_clusters, 5u);
  EXPECT_GT(report.probe_packets, 20u);
  EXPECT_EQ(scene.subscribers[0]->peer->rejected, 0u);
  EXPECT_EQ(scene.subscribers[0]->peer->unknown_ssrcs, 0u);
  EXPECT_EQ(scene.video(0).Faults(scene.call.csrcs()), "");
}

TEST_P(Bandwidth, ASmallViewGetsALowLayerAndAHiddenOneNothing) {
  BandwidthScene scene = Scene();
  scene.call.RunFor(seconds(3));
  EXPECT_EQ(scene.Spatial(0), 2);
  SlotView small;
  small.width = 320;
  small.height = 180;
  scene.Prefer(0, small);
  scene.call.RunFor(seconds(1));
  EXPECT_EQ(scene.Spatial(0), 0);
  SlotView hidden;
  hidden.visible = false;
  scene.Prefer(0, hidden);
  scene.call.RunFor(seconds(1));
  const size_t before = scene.video(0).packets.size();
  scene.call.RunFor(seconds(2));
  EXPECT_EQ(scene.video(0).packets.size(), before);
  EXPECT_TRUE(scene.call.EventsOf<SlotPaused>().empty()) << "a hidden view is not paused";
  scene.Prefer(0, {});
  EXPECT_TRUE(scene.call.RunUntil(seconds(2), [&] { return scene.Spatial(0) == 2; }));
  EXPECT_EQ(scene.video(0).Faults(scene.call.csrcs()), "");
}

// The sizes that the publisher announces hold until a keyframe contains others.
TEST(BandwidthSizes, AreAnnouncedByThePublisherAndCorrectedByKeyframes) {
  BandwidthSceneOptions options = Options();
  options.sizes = {{640, 360}, {1'280, 720}, {2'560, 1'440}};
  BandwidthScene scene(options);
  scene.call.RunFor(seconds(3));
  SlotView shown;
  shown.width = 640;
  shown.height = 360;
  scene.Prefer(0, shown);
  scene.call.RunFor(seconds(1));
  EXPECT_EQ(scene.Spatial(0), 0) << "halving from 720 lines would give the middle one";
  for (size_t i = 0; i < scene.publisher->encodings.size(); ++i) {
    PublishedStream& encoding = *scene.publisher->encodings[i];
    encoding.options.size = {static_cast<uint16_t>(160 << i), static_cast<uint16_t>(90 << i)};
    encoding.keyframe_wanted = true;
  }
  scene.call.RunFor(seconds(2));
  EXPECT_EQ(scene.Spatial(0), 2) << "the encoder has scaled down";
}

// Sizes that cannot be read (H.264, or end-to-end encrypted media) are those that the publisher announces.
TEST(BandwidthSizes, FollowTheAnnouncement) {
  BandwidthSceneOptions options = Options();
  options.sizes = {{320, 180}, {640, 360}, {1'280, 720}};
  BandwidthScene scene(options);
  scene.call.RunFor(seconds(3));
  SlotView shown;
  shown.width = 320;
  shown.height = 240;
  scene.Prefer(0, shown);
  scene.call.RunFor(seconds(1));
  EXPECT_EQ(scene.Spatial(0), 1);
  scene.call.Command(ResizeTrack{scene.publisher->video_track, {{320, 240}, {640, 480}, {640, 480}}});
  scene.call.RunFor(seconds(1));
  EXPECT_EQ(scene.Spatial(0), 0);
  EXPECT_EQ(scene.video(0).Faults(scene.call.csrcs()), "");
}

// Without a limit SCTP would fill the whole queue, and delay the audio.
TEST_P(Bandwidth, ABulkTransferLeavesRoomForMedia) {
  BandwidthScene scene = Scene();
  Member& subscriber = *scene.subscribers[0];
  TestData& data = subscriber.peer->UseData();
  DataSettings settings;
  settings.participant = "PA_viewer";
  settings.max_message_size = 64u << 10;
  scene.call.Command(ConfigureData{subscriber.transport, settings});
  scene.Narrow({0}, 1'000'000, 100'000);  // 800 ms
  scene.call.RunFor(seconds(8));
  const std::vector<uint8_t> part(32'000, 'x');
  DataEnvelope envelope;
  envelope.from_server = true;
  envelope.payload = part;
  const auto message = std::make_shared<const std::vector<uint8_t>>(WriteDataEnvelope(envelope));
  scene.call.Every(milliseconds(100), [&] {
    scene.call.Command(SendData{scene.call.room(), {subscriber.transport}, {}, {message}});
  });
  scene.call.RunFor(seconds(3));
  Duration queue{0};
  int shown = 0;
  const size_t before = data.received.size();
  for (int i = 0; i < 200; ++i) {
    scene.Observe(0, milliseconds(100));
    queue += scene.link->Delay(scene.call.now());
    if (scene.Spatial(0) >= 0) ++shown;
  }
  const size_t received = data.received.size() - before;
  EXPECT_LT(queue / 200, milliseconds(50));
  EXPECT_GE(shown, 180);
  EXPECT_GT(received, 10u);
  EXPECT_LT(scene.AudioLoss(0), 0.01);
}

// Hard problem 6, with the whole engine.
TEST(BandwidthNumbers, AnyFirstTransportSequenceNumberWorks) {
  for (const uint16_t first : {uint16_t{0}, uint16_t{65'000}, uint16_t{65'300}, uint16_t{65'535}}) {
    SCOPED_TRACE("first " + std::to_string(first));
    BandwidthSceneOptions options = Options();
    options.call.shard.first_transport_sequence = first;
    BandwidthScene scene(options);
    scene.Narrow({0}, 1'000'000, 50'000);
    scene.call.RunFor(seconds(10));
    const TransportStats report = scene.Stats(0);
    EXPECT_GT(report.estimate_bps, 850'000u);
    EXPECT_LT(report.estimate_bps, 1'150'000u);
  }
}

// Pion cannot begin a stream with a retransmission. Probes are therefore padding until a receiver report
// covers the stream.
TEST(BandwidthPeers, NothingIsRepeatedBeforeAReportCoversTheStream) {
  for (const bool reports : {false, true}) {
    BandwidthSceneOptions options = Options();
    options.receiver_reports = reports;
    BandwidthScene scene(options);
    scene.Narrow({0}, 1'000'000, 50'000);
    scene.call.RunFor(seconds(10));
    EXPECT_GT(scene.Stats(0).probe_packets, 20u);
    EXPECT_EQ(scene.video(0).duplicates == 0, !reports);
    EXPECT_GE(scene.Spatial(0), 1);
    EXPECT_EQ(scene.video(0).Faults(scene.call.csrcs()), "");
  }
}

// Hard problem 4 without a retransmission stream: padding is sent between frames and hides no gap.
TEST(BandwidthPeers, WithoutRetransmissionsPaddingIsSentBetweenFrames) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BandwidthSceneOptions options = Options(seed);
    options.rtx = false;
    BandwidthScene scene(options);
    const auto link = scene.Narrow({0}, 700'000, 60'000);
    EXPECT_TRUE(scene.call.RunUntil(seconds(15), [&] { return scene.Spatial(0) == 1; }));
    link->SetRate(3'000'000, scene.call.now());
    EXPECT_TRUE(scene.call.RunUntil(seconds(6), [&] { return scene.Spatial(0) == 2; }));
    EXPECT_GT(scene.Stats(0).probe_packets, 20u);
    EXPECT_EQ(scene.subscribers[0]->peer->rejected, 0u);
    EXPECT_EQ(scene.video(0).Faults(scene.call.csrcs()), "");
    EXPECT_EQ(scene.Unrepaired(0), 0u);
    size_t padding = 0;
    const auto& packets = scene.video(0).packets;
    for (auto packet = packets.begin(); packet != packets.end(); ++packet) {
      if (packet->second.payload_size > 0) continue;
      ++padding;
      EXPECT_FALSE(packet->second.marker);
      EXPECT_EQ(packet->second.timestamp, std::prev(packet)->second.timestamp);
      EXPECT_TRUE(std::prev(packet)->second.marker || std::prev(packet)->second.payload_size == 0);
    }
    EXPECT_GT(padding, 20u);
  }
}

TEST(BandwidthPeers, WithoutFeedbackNothingIsLimited) {
  BandwidthSceneOptions options = Options();
  options.transport_feedback = false;
  BandwidthScene scene(options);
  scene.call.RunFor(seconds(6));
  EXPECT_EQ(scene.Spatial(0), 2);
}

}  // namespace
}  // namespace nexus::testing
