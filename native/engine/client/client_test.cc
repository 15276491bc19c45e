// The client role against the shard, over good and bad networks in emulated time.
#include "engine/client/client.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/client/client_call_test.h"

namespace nexus::testing {
namespace {

// A publisher with camera and microphone, and a subscriber that sees and hears it.
struct Pair {
  explicit Pair(ClientCall& call, ClientConfig subscriber_config = {}, uint16_t first = 1)
      : publisher(call.Join()), subscriber(call.Join(std::move(subscriber_config))) {
    video_out = &call.Publish(publisher, MediaKind::kVideo, &video_track, first);
    audio_out = &call.Publish(publisher, MediaKind::kAudio);
    audio = &call.AddSlot(subscriber, MediaKind::kAudio);
    video = &call.AddSlot(subscriber, MediaKind::kVideo, video_track);
    call.Every(milliseconds(40), [this, &call] {
      if (publisher.client->state() == ClientState::kConnected) call.SendVideoFrame(*video_out);
    });
    call.Every(milliseconds(20), [this, &call] {
      if (publisher.client->state() == ClientState::kConnected) call.SendAudio(*audio_out);
    });
  }
  const Taken& TakenVideo() { return subscriber.taken[video->config().ssrc]; }
  const Taken& TakenAudio() { return subscriber.taken[audio->config().ssrc]; }

  ClientMember& publisher;
  ClientMember& subscriber;
  TrackId video_track;
  SendStream* video_out;
  SendStream* audio_out;
  ReceiveStream* audio;
  ReceiveStream* video;
};

TEST(Client, PublishesAndReceives) {
  ClientCall call;
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(10));
  EXPECT_GT(pair.TakenVideo().sequences.size(), 700u);
  EXPECT_GT(pair.TakenAudio().sequences.size(), 450u);
  EXPECT_TRUE(pair.TakenVideo().missing().empty());
  EXPECT_EQ(pair.TakenVideo().wrong_payload, 0u);
  EXPECT_EQ(pair.TakenAudio().wrong_payload, 0u);
  const ClientCounters& counters = pair.subscriber.client->counters();
  EXPECT_EQ(counters.rtp_rejected, 0u);
  EXPECT_EQ(counters.unknown_ssrcs, 0u);
  EXPECT_EQ(counters.rtcp_malformed, 0u);
  EXPECT_GT(pair.publisher.client->counters().twcc_received, 50u);
  // The application learns the state and the source of each stream.
  ASSERT_GE(pair.subscriber.EventsOf<ClientStateChanged>().size(), 2u);
  EXPECT_EQ(pair.subscriber.EventsOf<ClientStateChanged>().back().state, ClientState::kConnected);
  EXPECT_EQ(pair.subscriber.EventsOf<SourceChanged>().size(), 2u);
  EXPECT_EQ(pair.TakenVideo().sources.size(), 1u);
  // The shard requested a keyframe when the slot was bound.
  EXPECT_FALSE(pair.publisher.EventsOf<KeyframeRequested>().empty());
}

TEST(Client, MeasuresTheRoundTripByReports) {
  ClientCall call;
  call.network.conditions.delay = milliseconds(35);
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  for (const ClientMember* member : {&pair.publisher, &pair.subscriber}) {
    EXPECT_NEAR(static_cast<double>(member->client->rtt().count()), 70'000, 5'000);
  }
}

class LossyClient : public ::testing::TestWithParam<uint64_t> {};

// RTX in both directions, across the wrap of sequence numbers (hard problems 5 and 8).
TEST_P(LossyClient, EveryLossIsRepaired) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  ClientCall call(GetParam());
  call.network.conditions = {
      .loss = 0.05, .duplication = 0.02, .delay = milliseconds(15), .jitter = milliseconds(8)};
  Pair pair(call, {}, 32'000);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  ASSERT_FALSE(pair.TakenVideo().sequences.empty());
  const int64_t settled = *pair.TakenVideo().sequences.rbegin() - 60;
  call.network.conditions = {};
  call.RunFor(seconds(1));
  EXPECT_GT(pair.video_out->counters().retransmitted, 20u);
  EXPECT_GT(pair.TakenVideo().repaired, 20u);
  EXPECT_GT(pair.video->counters().duplicates, 5u);
  for (const int64_t missing : pair.TakenVideo().missing()) EXPECT_GE(missing, settled) << "never repaired";
  EXPECT_EQ(pair.TakenVideo().wrong_payload, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyClient, ::testing::Values(1, 2, 3, 4, 5, 6));

// The whole path: lost, repaired and reordered packets, frames, and both jitter buffers.
TEST_P(LossyClient, VideoAndAudioPlayContinuously) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  ClientCall call(GetParam());
  call.network.conditions = {
      .loss = 0.03, .duplication = 0.02, .delay = milliseconds(15), .jitter = milliseconds(12)};
  Pair pair(call);
  pair.subscriber.screen.emplace(VideoJitterBufferConfig{});
  pair.subscriber.speaker.emplace();
  std::map<AudioDecision, int> heard;
  call.Every(milliseconds(20), [&] { ++heard[pair.subscriber.speaker->Pull(call.now).decision]; });
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  const std::vector<VideoFrame>& shown = pair.subscriber.shown;
  ASSERT_GT(shown.size(), 450u);  // of 500
  EXPECT_TRUE(shown.front().frame.keyframe);
  for (size_t i = 1; i < shown.size(); ++i) {
    EXPECT_GT(shown[i].frame.timestamp, shown[i - 1].frame.timestamp);
    EXPECT_EQ(shown[i].frame.source, shown[0].frame.source);
    if (shown[i].frame.first_sequence != shown[i - 1].frame.last_sequence + 1) {
      EXPECT_TRUE(shown[i].frame.keyframe) << "shown without its reference frames";
    }
  }
  EXPECT_LE(pair.subscriber.screen->counters().gaps, 5u);
  EXPECT_GT(
      heard[AudioDecision::kNormal] + heard[AudioDecision::kAccelerate] + heard[AudioDecision::kDecelerate],
      900);
  EXPECT_GT(heard[AudioDecision::kFec], 5);  // audio is not retransmitted: the codec's FEC replaces it
  EXPECT_LT(heard[AudioDecision::kSilence], 60);
}

TEST(Client, MeasuresWithoutOpeningEveryPacket) {
  ClientCall call(3);
  call.network.conditions.loss = 0.03;
  ClientConfig sampling;
  sampling.open_one_in = 32;
  Pair pair(call, sampling);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  const Taken& video = pair.TakenVideo();
  ASSERT_GT(video.sequences.size(), 1'000u);
  EXPECT_EQ(video.opened - video.repaired, pair.subscriber.client->transport().srtp_counters()->rtp_opened -
                                               pair.video->counters().rtx_packets - pair.TakenAudio().opened);
  EXPECT_LT(video.opened, video.sequences.size() / 10);
  EXPECT_EQ(video.wrong_payload, 0u);
  EXPECT_GT(video.repaired, 20u);
  EXPECT_LT(video.missing().size(), 10u);
}

TEST(Client, OpensEveryPacketOfAStreamOnRequestWhileItSamples) {
  ClientCall call(4);
  ClientConfig sampling;
  sampling.open_one_in = 32;
  Pair pair(call, sampling);
  pair.video->opened_whole = true;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  const Taken& video = pair.TakenVideo();
  ASSERT_GT(video.sequences.size(), 100u);
  EXPECT_EQ(video.opened, video.sequences.size());
  EXPECT_LT(pair.TakenAudio().opened, pair.TakenAudio().sequences.size() / 10);
}

TEST(Client, DeadCandidatesDoNotPreventAConnection) {
  ClientCall call;
  std::vector<IceRemoteCandidate> candidates;
  for (uint8_t i = 0; i < 5; ++i) {
    candidates.push_back(
        {SocketAddress::V4({203, 0, 113, i}, 9), 0x7EFFFFFFu - i});  // of higher priority, and dead
  }
  ClientMember& member = call.Join({}, candidates);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_TRUE(member.client->transport().ice().nominated());
  EXPECT_EQ(member.client->transport().ice().selected(), call.server);
}

TEST(Client, MediaContinuesThroughAnIceRestart) {
  ClientCall call;
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  const IceCredentials local{"again1", "againpasswordagainpassword"};
  const IceCredentials server{"server-again", "serverpasswordserveragain"};
  call.shard().HandleCommand(RestartIce{pair.subscriber.transport, server, local}, call.now);
  ASSERT_TRUE(pair.subscriber.client->RestartIce(local, server, call.now));
  call.RunFor(seconds(45));  // longer than the old consent lasts
  EXPECT_EQ(pair.subscriber.client->state(), ClientState::kConnected);
  EXPECT_TRUE(pair.subscriber.client->transport().ice().nominated());
  EXPECT_TRUE(pair.TakenVideo().missing().empty());
  EXPECT_GT(pair.TakenVideo().sequences.size(), 3'000u);
}

TEST(Client, EndsWhenConsentIsLost) {
  ClientCall call;
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  call.network.SetDown(call.server, true);
  call.RunFor(seconds(31));
  EXPECT_EQ(member.client->state(), ClientState::kFailed);
  EXPECT_EQ(member.EventsOf<ClientStateChanged>().back().end, ClientEnd::kIceTimeout);
  EXPECT_EQ(member.client->NextDeadline(), kNever);
}

TEST(Client, ClosingNotifiesTheShard) {
  ClientCall call;
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  member.client->Close();
  call.RunFor(seconds(1));
  EXPECT_EQ(call.shard().counts().transports, 0u);
  EXPECT_EQ(member.client->state(), ClientState::kClosed);
}

TEST(Client, RefusesAnotherCertificate) {
  ClientCall call;
  ClientMember& member = call.Join({}, {}, {"sha-256", DtlsCertificate::Generate()->fingerprint()});
  call.RunFor(seconds(1));
  EXPECT_EQ(member.client->state(), ClientState::kFailed);
  EXPECT_EQ(member.EventsOf<ClientStateChanged>().back().end, ClientEnd::kDtlsFailed);
}

TEST(Client, OnlyStunIsAcceptedFromAnUnvalidatedAddress) {
  ClientCall call;
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  std::vector<uint8_t> dtls = {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const SocketAddress stranger = SocketAddress::V4({198, 51, 100, 9}, 1);
  member.client->HandleDatagram(dtls, stranger, call.now, call.now);
  std::vector<uint8_t> rtp(100, 0x80);
  member.client->HandleDatagram(rtp, stranger, call.now, call.now);
  EXPECT_EQ(member.client->transport().counters().dropped_unknown_address, 2u);
}

TEST(Client, StreamsAreBounded) {
  RunBuilder out;
  ClientConfig config;
  config.transport.certificate = ClientCall::Certificate();
  config.max_receive_streams = 3;
  config.max_send_streams = 2;
  Client client(config, out);
  for (uint32_t i = 0; i < 5; ++i) {
    ReceiveStreamConfig receive;
    receive.ssrc = Ssrc{i};
    EXPECT_EQ(client.AddReceiveStream(receive) != nullptr, i < 3);
    SendStreamConfig send;
    send.ssrc = Ssrc{100 + i};
    EXPECT_EQ(client.AddSendStream(send) != nullptr, i < 2);
  }
  client.RemoveReceiveStream(Ssrc{1});
  EXPECT_EQ(client.FindReceiveStream(Ssrc{1}), nullptr);
  EXPECT_NE(client.FindReceiveStream(Ssrc{2}), nullptr);
}

}  // namespace
}  // namespace nexus::testing
