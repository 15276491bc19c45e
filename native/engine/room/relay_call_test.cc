// Rooms over several shards, in emulated time: participants on one shard see and hear those of another as if
// they were on the same.
#include <gtest/gtest.h>

#include <set>

#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Two participants who see and hear each other. Alice is on the room's home shard, Bob on the last.
struct AliceAndBob {
  explicit AliceAndBob(TestCall& call) : alice(call.Join({}, 0)), bob(call.Join({}, call.shard_count() - 1)) {
    for (Member* member : {&alice, &bob}) {
      call.Publish(*member, MediaKind::kVideo);
      call.Publish(*member, MediaKind::kAudio);
      call.AddSlot(*member, MediaKind::kAudio);
      call.AddSlot(*member, MediaKind::kVideo);
    }
    See(call, alice, bob);
    See(call, bob, alice);
    call.StartMedia(alice);
    call.StartMedia(bob);
  }
  static void See(TestCall& call, Member& who, Member& whom) {
    call.Command(BindSlot{who.slots[1].id, whom.video_track}, who.shard);
  }
  Member& alice;
  Member& bob;
};

class SpreadRoomLossy : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SpreadRoomLossy, ParticipantsOnTwoShardsSeeAndHearEachOther) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  TestCall call(EmulatedOptions(GetParam(), 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  call.network().conditions = {.loss = 0.02, .delay = milliseconds(15), .jitter = milliseconds(8)};
  call.RunFor(seconds(8));
  call.network().conditions = {};
  call.RunFor(seconds(1));
  for (Member* member : {&pair.alice, &pair.bob}) {
    ReceivedStream& audio = *member->slots[0].stream;
    ReceivedStream& video = *member->slots[1].stream;
    EXPECT_GT(video.packets.size(), 700u);
    EXPECT_GT(audio.packets.size(), 450u);
    // Losses are repaired from the ring of the subscriber's shard, and by the publisher's shard.
    EXPECT_TRUE(video.Missing().empty());
    EXPECT_GT(video.rtx_sequences.size(), 0u);
  }
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, SpreadRoomLossy, ::testing::Values(1, 2, 3));

TEST(Relay, StreamsHaveNoFaultsAndTheRightCsrc) {
  TestCall call(EmulatedOptions(1, 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  for (Member* member : {&pair.alice, &pair.bob}) {
    for (const Member::Slot& slot : member->slots) EXPECT_EQ(slot.stream->Faults(call.csrcs()), "");
  }
}

// Lip sync over the relay: media times are relayed with the packets.
TEST(Relay, PresentationTimesAreRelayed) {
  TestCall call(EmulatedOptions(1, 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  ReceivedStream& audio = *pair.alice.slots[0].stream;
  ReceivedStream& video = *pair.alice.slots[1].stream;
  const auto lag = [](const ReceivedStream& stream) {
    const ReceivedPacket& last = stream.packets.rbegin()->second;
    return *stream.PresentationUs(last) - last.mark->sampled_us;
  };
  EXPECT_NEAR(static_cast<double>(lag(audio)), static_cast<double>(lag(video)), 15'000);
}

// Relaying all tracks to all shards would cost too much: video is relayed only to shards on which it is
// bound.
TEST(Relay, VideoIsRelayedOnlyWhileItIsWatched) {
  TestCall call(EmulatedOptions(1, 2));
  Member& alice = call.Join({}, 0);
  Member& bob = call.Join({}, 1);
  call.Publish(alice, MediaKind::kVideo);
  call.AddSlot(bob, MediaKind::kVideo);
  call.StartMedia(alice);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  const uint64_t idle = call.relayed_bytes_from(0);
  EXPECT_LT(idle, 2'000u);
  call.Command(BindSlot{bob.slots[0].id, alice.video_track}, 1);
  call.RunFor(seconds(1));
  const uint64_t watched = call.relayed_bytes_from(0);
  EXPECT_GT(watched, idle + 50'000);
  EXPECT_FALSE(bob.slots[0].stream->packets.empty());
  EXPECT_EQ(alice.video->plis.size(), 1u);
  call.Command(UnbindSlot{bob.slots[0].id}, 1);
  call.RunFor(milliseconds(10));
  const uint64_t after = call.relayed_bytes_from(0);
  call.RunFor(seconds(1));
  EXPECT_EQ(call.relayed_bytes_from(0), after);
}

// A bind may arrive before the other shard has announced the track.
TEST(Relay, ABindWaitsForItsTrack) {
  TestCall call(EmulatedOptions(1, 2));
  Member& alice = call.Join({}, 0);
  Member& bob = call.Join({}, 1);
  call.AddSlot(bob, MediaKind::kVideo);
  call.StartMedia(bob);
  ASSERT_TRUE(call.RunUntilConnected());
  call.relays_stopped = true;
  call.Publish(alice, MediaKind::kVideo);
  call.StartMedia(alice);
  call.Command(BindSlot{bob.slots[0].id, alice.video_track}, 1);
  call.RunFor(milliseconds(100));
  EXPECT_EQ(call.shard(1).counts().relays, 1u);
  call.relays_stopped = false;
  call.RunFor(seconds(1));
  EXPECT_FALSE(bob.slots[0].stream->packets.empty());
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

// The loudest speakers are chosen for the room, not by shard.
TEST(Relay, TheLoudestOfTheRoomAreHeardOnAllShards) {
  EmulatedCallOptions options = EmulatedOptions(1, 3);
  options.shard.audio_loudest = 2;
  TestCall call(options);
  std::vector<Member*> members;
  for (size_t i = 0; i < 6; ++i) {
    members.push_back(&call.Join({}, i % 3));
    call.Publish(*members.back(), MediaKind::kAudio);
    for (int slot = 0; slot < 3; ++slot) call.AddSlot(*members.back(), MediaKind::kAudio, -1);
    // The fourth and the fifth are loud: one is on shard 0, one on shard 1.
    call.StartMedia(*members.back(), i == 3 || i == 4 ? 10 : 70);
  }
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(8));
  const auto heard = [&](const Member& member) {
    std::set<uint32_t> numbers;
    for (const Member::Slot& slot : member.slots) {
      if (slot.stream->packets.empty()) continue;
      const ReceivedPacket& last = slot.stream->packets.rbegin()->second;
      if (call.now() - last.arrival < milliseconds(200)) numbers.insert(last.csrc);
    }
    return numbers;
  };
  const uint32_t loud[] = {call.csrcs().at(members[3]->audio->options.mark),
                           call.csrcs().at(members[4]->audio->options.mark)};
  for (size_t i = 0; i < members.size(); ++i) {
    std::set<uint32_t> expected(std::begin(loud), std::end(loud));
    expected.erase(call.csrcs().at(members[i]->audio->options.mark));
    EXPECT_EQ(heard(*members[i]), expected) << i;
  }
  // Only the home shard reports the speakers to the control side.
  for (const SpeakersChanged& change : call.EventsOf<SpeakersChanged>()) EXPECT_EQ(change.room, call.room());
  EXPECT_FALSE(call.EventsOf<SpeakersChanged>().empty());
}

TEST(Relay, AMuteIsRelayedAndVideoResumesWithAKeyframe) {
  TestCall call(EmulatedOptions(1, 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.Command(MuteTrack{pair.alice.video_track, true}, 0);
  call.RunFor(milliseconds(200));
  const size_t before = pair.bob.slots[1].stream->packets.size();
  call.RunFor(seconds(1));
  EXPECT_EQ(pair.bob.slots[1].stream->packets.size(), before);
  call.Command(MuteTrack{pair.alice.video_track, false}, 0);
  call.RunFor(seconds(1));
  EXPECT_GT(pair.bob.slots[1].stream->packets.size(), before + 40);
  EXPECT_EQ(pair.bob.slots[1].stream->Faults(call.csrcs()), "");
}

TEST(Relay, SizesAreRelayedAndUpdated) {
  TestCall call(EmulatedOptions(1, 2));
  Member& alice = call.Join({}, 0);
  call.PublishSimulcast(alice, {{1, 400}, {1, 800}, {2, 1'000}}, {{320, 180}, {640, 360}, {1'280, 720}});
  Member& bob = call.Join({}, 1);
  call.AddSlot(bob, MediaKind::kVideo);
  call.Command(BindSlot{bob.slots[0].id, alice.video_track}, 1);
  SlotView shown;
  shown.width = 320;
  shown.height = 240;
  call.Command(SetSlotView{bob.slots[0].id, shown}, 1);
  call.StartMedia(alice);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(10));  // each of the two shards holds a falling demand for four seconds
  EXPECT_FALSE(bob.slots[0].stream->packets.empty());
  const auto wanted = [&] { return call.EventsOf<LayerDemandChanged>().back().highest; };
  ASSERT_FALSE(call.EventsOf<LayerDemandChanged>().empty());
  ASSERT_TRUE(wanted());
  EXPECT_EQ(wanted()->spatial, 1) << "180 lines are too few";
  // A camera of 640 x 480 replaces the first; the third encoding adds no pixels.
  call.Command(ResizeTrack{alice.video_track, {{320, 240}, {640, 480}, {640, 480}}}, 0);
  call.RunFor(seconds(10));
  ASSERT_TRUE(wanted());
  EXPECT_EQ(wanted()->spatial, 0);
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

TEST(Relay, KeyframeRequestsAreCoalescedAndRelayed) {
  TestCall call(EmulatedOptions(1, 2));
  Member& alice = call.Join({}, 0);
  call.Publish(alice, MediaKind::kVideo);
  call.StartMedia(alice);
  std::vector<Member*> watchers;
  for (int i = 0; i < 30; ++i) {
    watchers.push_back(&call.Join({}, 1));
    call.AddSlot(*watchers.back(), MediaKind::kVideo);
    call.Command(BindSlot{watchers.back()->slots[0].id, alice.video_track}, 1);
  }
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  for (Member* watcher : watchers) EXPECT_FALSE(watcher->slots[0].stream->packets.empty());
  for (size_t i = 1; i < alice.video->plis.size(); ++i) {
    EXPECT_GE(alice.video->plis[i] - alice.video->plis[i - 1], milliseconds(250));
  }
}

TEST(Relay, LeavingFreesEverythingOnBothShards) {
  TestCall call(EmulatedOptions(1, 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.Command(CloseTransport{pair.alice.transport}, 0);
  call.RunFor(milliseconds(1));
  EXPECT_EQ(call.shard(0).counts().transports, 0u);
  EXPECT_EQ(call.shard(1).counts().tracks, 2u) << "Bob's own";
  EXPECT_EQ(call.shard(0).counts().tracks, 2u) << "Bob's, relayed";
  call.RunFor(seconds(1));
  for (size_t i = 0; i < 2; ++i) call.Command(CloseRoom{call.room()}, i);
  call.RunFor(milliseconds(1));
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(call.shard(i).counts(), Shard::Counts{}) << i;
}

// A full relay queue drops packets, never changes of state.
TEST(Relay, ACongestedRelayDropsPacketsAndRecovers) {
  TestCall call(EmulatedOptions(1, 2));
  AliceAndBob pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.shard(0).SetRelayCongested(1, true);
  call.RunFor(seconds(1));
  EXPECT_GT(call.shard(0).drops()[DropReason::kRelayCongested], 50u);
  const size_t before = pair.bob.slots[1].stream->packets.size();
  call.shard(0).SetRelayCongested(1, false);
  pair.bob.peer->SendPli(pair.bob.slots[1].stream->ssrc);
  call.RunFor(seconds(1));
  EXPECT_GT(pair.bob.slots[1].stream->packets.size(), before + 40);
}

// A shard's messages may change its own tracks only.
TEST(Relay, HostileBatchesChangeNothing) {
  TestCall call(EmulatedOptions(1, 3));
  Member& alice = call.Join({}, 0);
  call.Publish(alice, MediaKind::kVideo);
  call.RunFor(milliseconds(1));
  const Shard::Counts before = call.shard(1).counts();
  std::vector<uint8_t> bytes;
  WriteRelay(RelayTrackGone{alice.video_track}, bytes);                // not from its own shard
  WriteRelay(RelayTrackAdded{RoomId{99}, TrackId{4}}, bytes);          // no such room
  WriteRelay(RelayTrackAdded{call.room(), alice.video_track}, bytes);  // known already
  WriteRelay(RelayPacket{TrackId{77}}, bytes);
  WriteRelay(RelayChoice{call.room(), {TrackId{1}}}, bytes);  // not the home
  WriteRelay(RelayKeyframeRequest{TrackId{1}, 255}, bytes);
  bytes.push_back(5);
  call.shard(1).HandleRelay(2, bytes, call.now());
  EXPECT_EQ(call.shard(1).counts(), before);
  EXPECT_EQ(call.shard(1).drops()[DropReason::kRelayMalformed], 1u);
  EXPECT_EQ(call.shard(1).drops()[DropReason::kRelayRefused], 2u);
}

}  // namespace
}  // namespace nexus::testing
