// Calls through the shard in emulated time, over good and bad networks. A "hard problem" is a row of the
// design's list of faults that other media servers had.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/rtcp/rtcp_writer.h"
#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CallWithProfile : public ::testing::TestWithParam<SrtpProfile> {};

TEST_P(CallWithProfile, VideoAndAudioArriveCompleteAndWithTheRightCsrc) {
  EmulatedCallOptions options = EmulatedOptions();
  options.shard.srtp_profiles = {GetParam()};
  TestCall call(options);
  OneToOne pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  EXPECT_EQ(pair.subscriber.peer->profile(), GetParam());
  EXPECT_GT(pair.video().packets.size(), 300u);
  EXPECT_GT(pair.audio().packets.size(), 200u);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
  EXPECT_EQ(pair.audio().Faults(call.csrcs()), "");
  EXPECT_EQ(pair.subscriber.peer->rejected, 0u);
  EXPECT_EQ(pair.subscriber.peer->unknown_ssrcs, 0u);
  EXPECT_GT(pair.publisher.video->twcc_feedbacks, 20u);
  EXPECT_GE(pair.publisher.video->reports.size(), 3u);
  const std::vector<SlotChanged> changes = call.EventsOf<SlotChanged>();
  ASSERT_EQ(changes.size(), 2u);
  for (const SlotChanged& change : changes) {
    const bool video = change.slot == pair.subscriber.slots[1].id;
    EXPECT_EQ(change.track, video ? pair.publisher.video_track : pair.publisher.audio_track);
  }
  EXPECT_EQ(call.EventsOf<TrackStarted>().size(), 2u);
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
}

INSTANTIATE_TEST_SUITE_P(Profiles, CallWithProfile,
                         ::testing::Values(SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80));

class LossyCall : public ::testing::TestWithParam<uint64_t> {};

// The shard requests what it has lost from the publisher, and answers the subscriber's requests from its
// ring; both use RTX. The sequence numbers start near a wrap (hard problems 5 and 8).
TEST_P(LossyCall, EveryLossIsRepaired) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  TestCall call(EmulatedOptions(GetParam()));
  call.network().conditions = {
      .loss = 0.05, .duplication = 0.02, .delay = milliseconds(15), .jitter = milliseconds(8)};
  OneToOne pair(call);
  pair.publisher.video->sequence = 65'500;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  // A network without loss at the end, so that the last losses can still be repaired.
  const int64_t settled = pair.video().packets.rbegin()->first - 60;
  call.network().conditions = {};
  call.RunFor(seconds(1));
  ASSERT_GT(call.network().lost(), 100u);
  EXPECT_GT(pair.publisher.video->nacked, 0u);
  EXPECT_GT(pair.video().rtx_sequences.size(), 20u);
  for (const int64_t missing : pair.video().Missing()) EXPECT_GE(missing, settled) << "never repaired";
  uint64_t repaired = 0;
  for (const auto& [sequence, packet] : pair.video().packets) repaired += packet.repaired ? 1 : 0;
  EXPECT_GT(repaired, 20u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyCall, ::testing::Values(1, 2, 3, 4));

// Hard problem 5: the RTX stream is continuous, whatever is requested.
TEST(Call, RetransmissionsAreNumberedWithoutAGap) {
  TestCall call(EmulatedOptions(7));
  OneToOne pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  call.network().conditions.loss = 0.1;
  call.RunFor(seconds(5));
  call.network().conditions.loss = 0;
  call.RunFor(seconds(1));
  std::vector<int64_t> numbers = pair.video().rtx_sequences;
  ASSERT_GT(numbers.size(), 10u);
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end())
      << "an RTX number was used twice";
  // Some retransmissions were lost themselves; apart from these the numbers are dense.
  EXPECT_LT(numbers.back() - numbers.front(), static_cast<int64_t>(numbers.size()) * 2);
}

// Hard problem 1: 500 subscribers join within a second.
TEST(Call, AJoinStormCostsThePublisherOnePliPerInterval) {
  TestCall call(EmulatedOptions(3));
  Member& publisher = call.Join();
  call.Publish(publisher, MediaKind::kVideo);
  call.StartMedia(publisher);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(milliseconds(500));
  publisher.video->plis.clear();
  constexpr int kSubscribers = 500;
  std::vector<Timestamp> joined;
  for (int i = 0; i < kSubscribers; ++i) {
    Member& subscriber = call.Join();
    call.AddSlot(subscriber, MediaKind::kVideo);
    call.Command(BindSlot{subscriber.slots[0].id, publisher.video_track});
    call.RunFor(milliseconds(2));
  }
  ASSERT_TRUE(call.RunUntilConnected());
  const Timestamp connected = call.now();
  call.RunFor(seconds(1));
  for (const auto& member : call.members) {
    for (const Member::Slot& slot : member->slots) {
      ASSERT_FALSE(slot.stream->packets.empty()) << "no video within a second";
      EXPECT_EQ(slot.stream->Faults(call.csrcs()), "");
      EXPECT_LE(slot.stream->packets.begin()->second.arrival, connected + seconds(1));
    }
  }
  const std::vector<Timestamp>& plis = publisher.video->plis;
  ASSERT_FALSE(plis.empty());
  for (size_t i = 1; i < plis.size(); ++i) EXPECT_GE(plis[i] - plis[i - 1], milliseconds(299));
  EXPECT_GT(call.runs_of_several, 100u);
}

// Hard problem 2: the old source is forwarded until the new one's keyframe; sequence numbers, timestamps and
// picture ids then continue.
TEST(Call, RebindingASlotAtAnyPositionInAFrameLeavesNoGap) {
  TestCall call(EmulatedOptions(11));
  Member& first = call.Join();
  Member& second = call.Join({.ntp_offset = seconds(3600)});
  Member& subscriber = call.Join();
  for (Member* publisher : {&first, &second}) {
    call.Publish(*publisher, MediaKind::kVideo);
    call.StartMedia(*publisher);
  }
  call.AddSlot(subscriber, MediaKind::kVideo);
  ASSERT_TRUE(call.RunUntilConnected());
  call.network().conditions = {.loss = 0.01, .delay = milliseconds(10), .jitter = milliseconds(3)};
  std::uniform_int_distribution<int64_t> pause(100'000, 700'000);
  for (int i = 0; i < 30; ++i) {
    const Member& source = i % 2 == 0 ? first : second;
    call.Command(BindSlot{subscriber.slots[0].id, source.video_track});
    call.RunFor(Duration(pause(call.network().random())));
  }
  call.network().conditions.loss = 0;
  call.RunFor(seconds(1));
  ReceivedStream& video = *subscriber.slots[0].stream;
  // Only frames that a switch has cut off may stay incomplete.
  EXPECT_EQ(video.Faults(call.csrcs()), "");
  size_t switches = 0;
  uint32_t shown = 0;
  for (const auto& [sequence, packet] : video.packets)
    switches += std::exchange(shown, packet.csrc) != packet.csrc;
  EXPECT_GT(switches, 15u);
  EXPECT_EQ(call.EventsOf<SlotChanged>().size(), switches);
}

TEST(Call, AFullIntraRequestNamesItsStreamsInItsItems) {
  TestCall call(EmulatedOptions(8));
  OneToOne pair(call, {MediaKind::kVideo});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  const size_t before = pair.publisher.video->plis.size();
  const auto request = [&](Ssrc target) {
    std::array<uint8_t, 64> buffer;
    RtcpCompoundWriter writer(buffer);
    writer.AddFir(Ssrc{1}, target, 7);
    pair.subscriber.peer->client().transport().SendRtcp(writer.bytes());
    call.RunFor(seconds(1));
  };
  request(Ssrc{pair.video().ssrc.value + 1'000});
  EXPECT_EQ(pair.publisher.video->plis.size(), before) << "a stream that the subscriber does not receive";
  request(pair.video().ssrc);
  EXPECT_EQ(pair.publisher.video->plis.size(), before + 1);
}

TEST(Call, ALateJoinerIsShownVideoWithinHalfASecond) {
  TestCall call(EmulatedOptions(5));
  OneToOne pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(10));
  Member& late = call.Join();
  call.AddSlot(late, MediaKind::kVideo);
  call.Command(BindSlot{late.slots[0].id, pair.publisher.video_track});
  ASSERT_TRUE(call.RunUntilConnected());
  const Timestamp connected = call.now();
  ASSERT_TRUE(call.RunUntil(seconds(2), [&] { return !late.slots[0].stream->packets.empty(); }));
  EXPECT_LE(call.now() - connected, milliseconds(500));
  EXPECT_TRUE(late.slots[0].stream->packets.begin()->second.keyframe_start);
}

// Audio and video that were sampled together are presented together, by the sender reports alone, also after
// a rebind to a publisher whose clocks are unrelated to those of the first.
TEST(Call, LipSyncHoldsAcrossARebind) {
  TestCall call(EmulatedOptions(13));
  Member& first = call.Join();
  Member& second = call.Join({.ntp_offset = seconds(98'765)});
  Member& subscriber = call.Join();
  for (Member* publisher : {&first, &second}) {
    call.Publish(*publisher, MediaKind::kVideo);
    call.Publish(*publisher, MediaKind::kAudio);
    publisher->video->timestamp_offset = 0x12345678u * (publisher == &first ? 1 : 3);
    publisher->audio->timestamp_offset = 0x0BADCAFEu * (publisher == &first ? 1 : 5);
  }
  call.AddSlot(subscriber, MediaKind::kAudio);
  call.AddSlot(subscriber, MediaKind::kVideo);
  call.StartMedia(first);
  call.StartMedia(second);
  call.Command(BindSlot{subscriber.slots[1].id, first.video_track});
  call.Command(SetSubscribed{subscriber.transport, second.audio_track, false});
  ASSERT_TRUE(call.RunUntilConnected());
  call.network().conditions = {.delay = milliseconds(20), .jitter = milliseconds(10)};
  const auto check = [&](const Member& source) {
    call.RunFor(seconds(8));
    const ReceivedStream& audio = *subscriber.slots[0].stream;
    const ReceivedStream& video = *subscriber.slots[1].stream;
    ASSERT_FALSE(audio.packets.empty());
    ASSERT_FALSE(video.packets.empty());
    const ReceivedPacket& heard = audio.packets.rbegin()->second;
    const ReceivedPacket& seen = video.packets.rbegin()->second;
    EXPECT_EQ(heard.csrc, call.csrcs().at(source.audio->options.mark));
    EXPECT_EQ(seen.csrc, call.csrcs().at(source.video->options.mark));
    const auto heard_at = audio.PresentationUs(heard);
    const auto seen_at = video.PresentationUs(seen);
    ASSERT_TRUE(heard_at && seen_at) << "no sender report";
    const int64_t offset = (*heard_at - heard.mark->sampled_us) - (*seen_at - seen.mark->sampled_us);
    EXPECT_LT(std::abs(offset), 15'000) << "microseconds apart";
    ASSERT_FALSE(audio.cnames.empty());
    ASSERT_FALSE(video.cnames.empty());
    EXPECT_EQ(audio.cnames.back(), video.cnames.back()) << "one clock, one name (RFC 3550 section 6.5.1)";
  };
  check(first);
  call.Command(BindSlot{subscriber.slots[1].id, second.video_track});
  call.Command(SetSubscribed{subscriber.transport, second.audio_track, true});
  call.Command(SetSubscribed{subscriber.transport, first.audio_track, false});
  check(second);
}

TEST(Call, AParticipantDoesNotReceiveItsOwnAudio) {
  TestCall call(EmulatedOptions(17));
  for (int i = 0; i < 3; ++i) {
    Member& member = call.Join();
    call.Publish(member, MediaKind::kAudio);
    for (int slot = 0; slot < 3; ++slot) call.AddSlot(member, MediaKind::kAudio, -1);
    call.StartMedia(member);
  }
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  for (const auto& member : call.members) {
    size_t heard = 0;
    for (const Member::Slot& slot : member->slots) {
      heard += slot.stream->packets.empty() ? 0 : 1;
      for (const auto& [sequence, packet] : slot.stream->packets) {
        ASSERT_NE(packet.mark->mark, member->audio->options.mark);
      }
    }
    EXPECT_EQ(heard, 2u);
  }
}

TEST(Call, UnsubscribedAudioIsNotSentUntilItIsSubscribedAgain) {
  TestCall call(EmulatedOptions(19));
  OneToOne pair(call);
  call.Command(SetSubscribed{pair.subscriber.transport, pair.publisher.audio_track, false});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_TRUE(pair.audio().packets.empty());
  call.Command(SetSubscribed{pair.subscriber.transport, pair.publisher.audio_track, true});
  call.RunFor(seconds(1));
  EXPECT_GT(pair.audio().packets.size(), 30u);
}

TEST(Call, AMutedCameraIsNotForwardedAndResumesWithAKeyframeAndNoGap) {
  TestCall call(EmulatedOptions(23));
  OneToOne pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  call.Command(MuteTrack{pair.publisher.video_track, true});
  call.RunFor(milliseconds(100));  // packets in flight arrive
  const size_t before = pair.video().packets.size();
  call.RunFor(seconds(3));
  EXPECT_EQ(pair.video().packets.size(), before);
  EXPECT_GT(call.shard().drops()[DropReason::kMuted], 100u);
  call.Command(MuteTrack{pair.publisher.video_track, false});
  call.RunFor(seconds(2));
  EXPECT_GT(pair.video().packets.size(), before + 100);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
}

TEST(Call, SpeakersAreReportedWhenTheyChange) {
  TestCall call(EmulatedOptions(29));
  Member& member = call.Join();
  call.Publish(member, MediaKind::kAudio);
  uint8_t level = 127;
  call.Every(milliseconds(20), [&] {
    if (member.peer->connected()) member.peer->SendAudio(*member.audio, call.now(), level);
  });
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_TRUE(call.EventsOf<SpeakersChanged>().empty());
  level = 15;
  call.RunFor(seconds(2));
  std::vector<SpeakersChanged> reported = call.EventsOf<SpeakersChanged>();
  ASSERT_FALSE(reported.empty());
  ASSERT_EQ(reported.back().speakers.size(), 1u);
  EXPECT_EQ(reported.back().speakers[0].first, member.audio_track);
  EXPECT_NEAR(reported.back().speakers[0].second, -15, 6);
  level = 127;
  call.RunFor(seconds(2));
  EXPECT_TRUE(call.EventsOf<SpeakersChanged>().back().speakers.empty());
  // Far fewer events than intervals have passed, because only changes are reported.
  EXPECT_LT(call.EventsOf<SpeakersChanged>().size(), 8u);
}

// Hard problem 25.
TEST(Call, TheSameSsrcFromTwoPublishersIsNoCollision) {
  TestCall call(EmulatedOptions(31));
  Member& first = call.Join();
  Member& second = call.Join();
  Member& subscriber = call.Join();
  for (Member* publisher : {&first, &second}) {
    call.Publish(*publisher, MediaKind::kVideo, {.announce_ssrc = false});  // found by MID
    publisher->video->options.ssrc = Ssrc{0xABCD};
    publisher->video->options.rtx_ssrc = Ssrc{0xABCE};
    call.StartMedia(*publisher);
    call.AddSlot(subscriber, MediaKind::kVideo);
    call.Command(BindSlot{subscriber.slots.back().id, publisher->video_track});
  }
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  for (const Member::Slot& slot : subscriber.slots) {
    EXPECT_GT(slot.stream->packets.size(), 100u);
    EXPECT_EQ(slot.stream->Faults(call.csrcs()), "");
  }
  EXPECT_NE(subscriber.slots[0].stream->packets.begin()->second.csrc,
            subscriber.slots[1].stream->packets.begin()->second.csrc);
}

// Hard problems 22 and 25: each peer numbers payload types and extensions for itself.
TEST(Call, PayloadTypesAndExtensionIdsMayDifferByPeer) {
  TestCall call(EmulatedOptions(37));
  OneToOne pair(call, {MediaKind::kAudio, MediaKind::kVideo},
                {.first_payload_type = 96, .first_extension_id = 1},
                {.first_payload_type = 110, .first_extension_id = 9});
  ASSERT_TRUE(call.RunUntilConnected());
  call.network().conditions.loss = 0.03;
  call.RunFor(seconds(5));
  call.network().conditions.loss = 0;
  call.RunFor(seconds(1));
  EXPECT_GT(pair.video().packets.size(), 300u);
  EXPECT_TRUE(pair.video().Missing().empty());
  EXPECT_GT(pair.audio().packets.size(), 200u);
}

TEST(Call, ReportsContainRoundTripAndLoss) {
  TestCall call(EmulatedOptions(41));
  call.network().conditions.delay = milliseconds(40);
  OneToOne pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  call.Command(RequestStats{9, call.room()});
  call.RunFor(milliseconds(1));
  const std::vector<StatsReady> reports = call.EventsOf<StatsReady>();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].request, 9u);
  bool measured = false;
  for (const TransportStats& transport : reports[0].transports) {
    EXPECT_EQ(transport.state, TransportState::kConnected);
    if (transport.transport != pair.subscriber.transport) continue;
    EXPECT_NEAR(transport.rtt_ms, 80, 5);
    measured = true;
  }
  EXPECT_TRUE(measured);
  ASSERT_EQ(reports[0].slots.size(), 2u);
  for (const SlotStats& slot : reports[0].slots) EXPECT_NEAR(slot.fraction_lost, 0.25, 0.01);
  ASSERT_EQ(reports[0].tracks.size(), 2u);
  for (const TrackStats& track : reports[0].tracks) EXPECT_GT(track.packets, 100u);
}

}  // namespace
}  // namespace nexus::testing
