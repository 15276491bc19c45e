// Bursts: forwarding a batch subscriber by subscriber gives the same packets as forwarding it packet by
// packet, and a frame leaves as one run.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EmulatedCallOptions Options(bool batches, bool pad_runs = true) {
  EmulatedCallOptions options = EmulatedOptions(4);
  options.batches = batches;
  options.shard.pad_runs = pad_runs;
  return options;
}

// A camera with frames of several packets and two viewers.
struct Show {
  explicit Show(const EmulatedCallOptions& options, size_t uneven = 0)
      : call(options), publisher(call.Join()) {
    call.Publish(publisher, MediaKind::kVideo);
    publisher.video->options.packets_per_frame = 6;
    publisher.video->options.uneven = uneven;
    call.StartMedia(publisher);
    for (int i = 0; i < 2; ++i) {
      Member& viewer = call.Join({.transport_feedback = false});  // nothing is paced or probed
      viewers.push_back(&viewer);
      call.AddSlot(viewer, MediaKind::kVideo);
      call.StartMedia(viewer);
      call.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
    }
  }
  ReceivedStream& seen(size_t who) { return *viewers[who]->slots[0].stream; }

  TestCall call;
  Member& publisher;
  std::vector<Member*> viewers;
};

std::vector<std::vector<uint8_t>> Payloads(const ReceivedStream& stream) {
  std::vector<std::vector<uint8_t>> payloads;
  for (const auto& [sequence, packet] : stream.packets) payloads.push_back(packet.payload);
  return payloads;
}

TEST(FanOut, ABatchDeliversTheSameAsSinglePackets) {
  std::array<std::vector<std::vector<uint8_t>>, 2> seen;
  for (const bool batches : {false, true}) {
    Show show(Options(batches), 1);
    ASSERT_TRUE(show.call.RunUntilConnected());
    show.call.RunFor(seconds(3));
    for (size_t who = 0; who < 2; ++who) {
      EXPECT_EQ(show.seen(who).Faults(show.call.csrcs()), "");
      EXPECT_GT(show.seen(who).packets.size(), 400u);
    }
    seen[batches] = Payloads(show.seen(0));
  }
  EXPECT_EQ(seen[0], seen[1]);
}

TEST(FanOut, PacketsOfAFrameWithUnequalLengthsLeaveAsOneRun) {
  std::array<uint64_t, 2> runs{};
  for (const bool pad : {false, true}) {
    Show show(Options(true, pad), 3);
    ASSERT_TRUE(show.call.RunUntilConnected());
    show.call.RunFor(seconds(2));
    const uint64_t before = show.call.runs;
    show.call.RunFor(seconds(2));
    runs[pad] = show.call.runs - before;
    for (size_t who = 0; who < 2; ++who) EXPECT_EQ(show.seen(who).Faults(show.call.csrcs()), "");
  }
  // 25 frames a second for two viewers. Six packets of two alternating lengths are at least three runs, or
  // one.
  EXPECT_GT(runs[0], 2 * runs[1]);
}

TEST(FanOut, PacketsThatDifferByMoreAreNotPadded) {
  Show show(Options(true), kMaxRunPadding + 1);
  ASSERT_TRUE(show.call.RunUntilConnected());
  show.call.RunFor(seconds(1));
  for (const auto& [sequence, packet] : show.seen(0).packets) ASSERT_LE(packet.payload_size, 1'000u);
  EXPECT_EQ(show.seen(0).Faults(show.call.csrcs()), "");
}

// The first packet of a keyframe arrives after the others. The ring's packets follow at once, and none from
// the same batch is sent twice.
TEST(FanOut, PacketsOfTheSameBatchAreNotSentFromTheRingAsWell) {
  Show show(Options(true));
  show.call.network().conditions.jitter = Duration(300);  // within a frame; some arrive at one moment
  ASSERT_TRUE(show.call.RunUntilConnected());
  for (int i = 0; i < 20; ++i) {
    show.publisher.video->keyframe_wanted = true;
    show.call.RunFor(milliseconds(200));
  }
  for (size_t who = 0; who < 2; ++who) {
    EXPECT_EQ(show.seen(who).Faults(show.call.csrcs()), "");
    EXPECT_EQ(show.seen(who).Missing().size(), 0u);
  }
}

}  // namespace
}  // namespace nexus::testing
