// Rooms over several shards, in emulated time: people on one see and hear those of another as if it were one
// shard.
#include <gtest/gtest.h>

#include <set>

#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Each sees the other and hears everybody; Alice is on the room's home shard, Bob on the other.
struct AliceAndBob {
  explicit AliceAndBob(EmulatedCall& call)
      : alice(call.Join({}, 0)), bob(call.Join({}, call.shard_count() - 1)) {
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
  static void See(EmulatedCall& call, Member& who, Member& whom) {
    call.Command(BindSlot{who.slots[1].id, whom.video_track}, who.shard);
  }
  Member& alice;
  Member& bob;
};

class SpreadRoomLossy : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SpreadRoomLossy, PeopleOnTwoShardsSeeAndHearEachOther) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedCall call(EmulatedOptions(GetParam(), 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  call.network().conditions = {.loss = 0.02, .delay = milliseconds(15), .jitter = milliseconds(8)};
  call.RunFor(seconds(8));
  call.network().conditions = {};
  call.RunFor(seconds(1));
  for (Member* member : {&people.alice, &people.bob}) {
    ReceivedStream& audio = *member->slots[0].stream;
    ReceivedStream& video = *member->slots[1].stream;
    EXPECT_GT(video.packets.size(), 700u);
    EXPECT_GT(audio.packets.size(), 450u);
    // Losses are repaired out of the own shard's ring, and by the publisher's shard.
    EXPECT_TRUE(video.Missing().empty());
    EXPECT_GT(video.rtx_sequences.size(), 0u);
  }
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, SpreadRoomLossy, ::testing::Values(1, 2, 3));

TEST(Relay, StreamsHaveNoFaultsAndTheRightNumber) {
  EmulatedCall call(EmulatedOptions(1, 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  for (Member* member : {&people.alice, &people.bob}) {
    for (const Member::Slot& slot : member->slots) EXPECT_EQ(slot.stream->Faults(call.csrcs()), "");
  }
}

// Lips in sync over the relay: media times cross with the packets.
TEST(Relay, PresentationTimesCross) {
  EmulatedCall call(EmulatedOptions(1, 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  ReceivedStream& audio = *people.alice.slots[0].stream;
  ReceivedStream& video = *people.alice.slots[1].stream;
  const auto lag = [](const ReceivedStream& stream) {
    const ReceivedPacket& last = stream.packets.rbegin()->second;
    return *stream.PresentationUs(last) - last.mark->sampled_us;
  };
  EXPECT_NEAR(static_cast<double>(lag(audio)), static_cast<double>(lag(video)), 15'000);
}

// Before somebody watches nothing crosses; 1,000 packets a second of everybody to everywhere would be the
// end.
TEST(Relay, VideoCrossesOnlyWhileItIsWatched) {
  EmulatedCall call(EmulatedOptions(1, 2));
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

// A bind may overtake the other shard's word of the track.
TEST(Relay, ABindWaitsForItsTrack) {
  EmulatedCall call(EmulatedOptions(1, 2));
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

// The loudest few are of the room, not of a shard: the same everywhere.
TEST(Relay, TheLoudestOfTheRoomAreHeardOnAllShards) {
  EmulatedCallOptions options = EmulatedOptions(1, 3);
  options.shard.audio_loudest = 2;
  EmulatedCall call(options);
  std::vector<Member*> people;
  for (size_t i = 0; i < 6; ++i) {
    people.push_back(&call.Join({}, i % 3));
    call.Publish(*people.back(), MediaKind::kAudio);
    for (int slot = 0; slot < 3; ++slot) call.AddSlot(*people.back(), MediaKind::kAudio, -1);
    // The fourth and the fifth are loud: one on shard 0, one on shard 1.
    call.StartMedia(*people.back(), i == 3 || i == 4 ? 10 : 70);
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
  const uint32_t loud[] = {call.csrcs().at(people[3]->audio->options.mark),
                           call.csrcs().at(people[4]->audio->options.mark)};
  for (size_t i = 0; i < people.size(); ++i) {
    std::set<uint32_t> expected(std::begin(loud), std::end(loud));
    expected.erase(call.csrcs().at(people[i]->audio->options.mark));
    EXPECT_EQ(heard(*people[i]), expected) << i;
  }
  // One voice of the room for the control side, from the home.
  for (const SpeakersChanged& told : call.EventsOf<SpeakersChanged>()) EXPECT_EQ(told.room, call.room());
  EXPECT_FALSE(call.EventsOf<SpeakersChanged>().empty());
}

TEST(Relay, AMuteCrossesAndVideoComesBackWithAKeyframe) {
  EmulatedCall call(EmulatedOptions(1, 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.Command(MuteTrack{people.alice.video_track, true}, 0);
  call.RunFor(milliseconds(200));
  const size_t before = people.bob.slots[1].stream->packets.size();
  call.RunFor(seconds(1));
  EXPECT_EQ(people.bob.slots[1].stream->packets.size(), before);
  call.Command(MuteTrack{people.alice.video_track, false}, 0);
  call.RunFor(seconds(1));
  EXPECT_GT(people.bob.slots[1].stream->packets.size(), before + 40);
  EXPECT_EQ(people.bob.slots[1].stream->Faults(call.csrcs()), "");
}

TEST(Relay, SizesCrossAndAreToldAnew) {
  EmulatedCall call(EmulatedOptions(1, 2));
  Member& alice = call.Join({}, 0);
  call.PublishSimulcast(alice, {{1, 400}, {1, 800}, {2, 1'000}}, {{320, 180}, {640, 360}, {1'280, 720}});
  Member& bob = call.Join({}, 1);
  call.AddSlot(bob, MediaKind::kVideo);
  call.Command(BindSlot{bob.slots[0].id, alice.video_track}, 1);
  SlotPreferences shown;
  shown.width = 320;
  shown.height = 240;
  call.Command(SetSlotPreferences{bob.slots[0].id, shown}, 1);
  call.StartMedia(alice);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(10));  // each of the two shards holds a wish that falls for four
  EXPECT_FALSE(bob.slots[0].stream->packets.empty());
  const auto wanted = [&] { return call.EventsOf<LayersWanted>().back().highest; };
  ASSERT_FALSE(call.EventsOf<LayersWanted>().empty());
  ASSERT_TRUE(wanted());
  EXPECT_EQ(wanted()->spatial, 1) << "180 lines are too few";
  // The camera is exchanged for one of 640 x 480; the third encoding has no pixels left.
  call.Command(ResizeTrack{alice.video_track, {{320, 240}, {640, 480}, {640, 480}}}, 0);
  call.RunFor(seconds(10));
  ASSERT_TRUE(wanted());
  EXPECT_EQ(wanted()->spatial, 0);
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

TEST(Relay, KeyframeRequestsCrossCoalesced) {
  EmulatedCall call(EmulatedOptions(1, 2));
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
  EmulatedCall call(EmulatedOptions(1, 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.Command(CloseTransport{people.alice.transport}, 0);
  call.RunFor(milliseconds(1));
  EXPECT_EQ(call.shard(0).counts().transports, 0u);
  EXPECT_EQ(call.shard(1).counts().tracks, 2u) << "Bob's own";
  EXPECT_EQ(call.shard(0).counts().tracks, 2u) << "Bob's, relayed";
  call.RunFor(seconds(1));
  for (size_t i = 0; i < 2; ++i) call.Command(CloseRoom{call.room()}, i);
  call.RunFor(milliseconds(1));
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(call.shard(i).counts(), Shard::Counts{}) << i;
}

// A full way costs packets, never the state of a room.
TEST(Relay, ACongestedWayDropsPacketsAndRecovers) {
  EmulatedCall call(EmulatedOptions(1, 2));
  AliceAndBob people(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.shard(0).SetRelayCongested(1, true);
  call.RunFor(seconds(1));
  EXPECT_GT(call.shard(0).drops()[DropReason::kRelayCongested], 50u);
  const size_t before = people.bob.slots[1].stream->packets.size();
  call.shard(0).SetRelayCongested(1, false);
  people.bob.peer->SendPli(people.bob.slots[1].stream->ssrc);
  call.RunFor(seconds(1));
  EXPECT_GT(people.bob.slots[1].stream->packets.size(), before + 40);
}

// Another shard's bytes are not trusted with more than their own tracks.
TEST(Relay, HostileBatchesChangeNothing) {
  EmulatedCall call(EmulatedOptions(1, 3));
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
