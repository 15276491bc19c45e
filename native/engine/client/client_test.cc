// The client role against the shard, over good and bad networks in emulated time.
#include "engine/client/client.h"

#include <gtest/gtest.h>

#include <map>

#include "testing/client_call.h"
#include "testing/emulated_options.h"
#include "testing/one_to_one.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::vector<MediaKind> kBothKinds = {MediaKind::kAudio, MediaKind::kVideo};

// A camera and a microphone, and a subscriber for both.
struct Pair : OneToOne<ClientPeer> {
  explicit Pair(ClientCall& call, ClientPeerOptions subscriber_options = {}, const PublishOptions& how = {})
      : OneToOne(call, kBothKinds, {}, std::move(subscriber_options), how) {}
  const TakenMedia& TakenVideo() { return subscriber.peer->Taken(video()); }
  const TakenMedia& TakenAudio() { return subscriber.peer->Taken(audio()); }
};

TEST(Client, PublishesAndReceives) {
  ClientCall call(EmulatedOptions());
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(10));
  EXPECT_GT(pair.TakenVideo().sequences.size(), 700u);
  EXPECT_GT(pair.TakenAudio().sequences.size(), 450u);
  EXPECT_TRUE(pair.TakenVideo().Missing().empty());
  EXPECT_EQ(pair.TakenVideo().wrong_payload, 0u);
  EXPECT_EQ(pair.TakenAudio().wrong_payload, 0u);
  const ClientCounters& counters = pair.subscriber.peer->client().counters();
  EXPECT_EQ(counters.rtp_rejected, 0u);
  EXPECT_EQ(counters.unknown_ssrcs, 0u);
  EXPECT_EQ(counters.rtcp_malformed, 0u);
  EXPECT_GT(pair.publisher.peer->client().counters().twcc_received, 50u);
  // The application learns the state and the source of each stream.
  ASSERT_GE(pair.subscriber.peer->EventsOf<ClientStateChanged>().size(), 2u);
  EXPECT_EQ(pair.subscriber.peer->EventsOf<ClientStateChanged>().back().state, ClientState::kConnected);
  EXPECT_EQ(pair.subscriber.peer->EventsOf<SourceChanged>().size(), 2u);
  EXPECT_EQ(pair.TakenVideo().sources.size(), 1u);
  // The shard requested a keyframe when the slot was bound.
  EXPECT_FALSE(pair.publisher.peer->EventsOf<KeyframeRequested>().empty());
}

TEST(Client, MeasuresTheRoundTripByReports) {
  ClientCall call(EmulatedOptions());
  call.network().conditions.delay = milliseconds(35);
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  for (const ClientMember* member : {&pair.publisher, &pair.subscriber}) {
    EXPECT_NEAR(static_cast<double>(member->peer->client().rtt().count()), 70'000, 5'000);
  }
}

class LossyClient : public ::testing::TestWithParam<uint64_t> {};

// RTX in both directions, across the wrap of sequence numbers (hard problems 5 and 8).
TEST_P(LossyClient, EveryLossIsRepaired) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  ClientCall call(EmulatedOptions(GetParam()));
  call.network().conditions = {
      .loss = 0.05, .duplication = 0.02, .delay = milliseconds(15), .jitter = milliseconds(8)};
  Pair pair(call, {}, {.first_sequence = 32'000});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  ASSERT_FALSE(pair.TakenVideo().sequences.empty());
  const int64_t settled = *pair.TakenVideo().sequences.rbegin() - 60;
  call.network().conditions = {};
  call.RunFor(seconds(1));
  EXPECT_GT(pair.publisher.video->counters().retransmitted, 20u);
  EXPECT_GT(pair.TakenVideo().repaired, 20u);
  EXPECT_GT(pair.video().counters().duplicates, 5u);
  for (const int64_t missing : pair.TakenVideo().Missing()) EXPECT_GE(missing, settled) << "never repaired";
  EXPECT_EQ(pair.TakenVideo().wrong_payload, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyClient, ::testing::Values(1, 2, 3, 4, 5, 6));

// The whole path: lost, repaired and reordered packets, frames, and both jitter buffers.
TEST_P(LossyClient, VideoAndAudioPlayContinuously) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  ClientCall call(EmulatedOptions(GetParam()));
  call.network().conditions = {
      .loss = 0.03, .duplication = 0.02, .delay = milliseconds(15), .jitter = milliseconds(12)};
  Pair pair(call);
  pair.subscriber.peer->Play();
  std::map<AudioDecision, int> heard;
  call.Every(milliseconds(20), [&] { ++heard[pair.subscriber.peer->speaker().Pull(call.now()).decision]; });
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  const std::vector<VideoFrame>& shown = pair.subscriber.peer->shown();
  ASSERT_GT(shown.size(), 450u);  // of 500
  EXPECT_TRUE(shown.front().frame.keyframe);
  for (size_t i = 1; i < shown.size(); ++i) {
    EXPECT_GT(shown[i].frame.timestamp, shown[i - 1].frame.timestamp);
    EXPECT_EQ(shown[i].frame.source, shown[0].frame.source);
    if (shown[i].frame.first_sequence != shown[i - 1].frame.last_sequence + 1) {
      EXPECT_TRUE(shown[i].frame.keyframe) << "shown without its reference frames";
    }
  }
  EXPECT_LE(pair.subscriber.peer->screen().counters().gaps, 5u);
  EXPECT_GT(
      heard[AudioDecision::kNormal] + heard[AudioDecision::kAccelerate] + heard[AudioDecision::kDecelerate],
      900);
  EXPECT_GT(heard[AudioDecision::kFec], 5);  // audio is not retransmitted: the codec's FEC replaces it
  EXPECT_LT(heard[AudioDecision::kSilence], 60);
}

TEST(Client, MeasuresWithoutOpeningEveryPacket) {
  ClientCall call(EmulatedOptions(3));
  call.network().conditions.loss = 0.03;
  ClientPeerOptions sampling;
  sampling.open_one_in = 32;
  Pair pair(call, sampling);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(20));
  const TakenMedia& video = pair.TakenVideo();
  ASSERT_GT(video.sequences.size(), 1'000u);
  EXPECT_EQ(video.opened - video.repaired,
            pair.subscriber.peer->client().transport().srtp_counters()->rtp_opened -
                pair.video().counters().rtx_packets - pair.TakenAudio().opened);
  EXPECT_LT(video.opened, video.sequences.size() / 10);
  EXPECT_EQ(video.wrong_payload, 0u);
  EXPECT_GT(video.repaired, 20u);
  EXPECT_LT(video.Missing().size(), 10u);
}

TEST(Client, OpensEveryPacketOfAStreamOnRequestWhileItSamples) {
  ClientCall call(EmulatedOptions(4));
  ClientPeerOptions sampling;
  sampling.open_one_in = 32;
  Pair pair(call, sampling);
  pair.video().opened_whole = true;
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(5));
  const TakenMedia& video = pair.TakenVideo();
  ASSERT_GT(video.sequences.size(), 100u);
  EXPECT_EQ(video.opened, video.sequences.size());
  EXPECT_LT(pair.TakenAudio().opened, pair.TakenAudio().sequences.size() / 10);
}

TEST(Client, DeadCandidatesDoNotPreventAConnection) {
  ClientCall call(EmulatedOptions());
  ClientPeerOptions options;
  for (uint8_t i = 0; i < 5; ++i) {
    options.candidates.push_back(
        {SocketAddress::V4({203, 0, 113, i}, 9), 0x7EFFFFFFu - i});  // of higher priority, and dead
  }
  ClientMember& member = call.Join(std::move(options));
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_TRUE(member.peer->client().transport().ice().nominated());
  EXPECT_EQ(member.peer->client().transport().ice().selected(), call.server());
}

TEST(Client, MediaContinuesThroughAnIceRestart) {
  ClientCall call(EmulatedOptions());
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  const IceCredentials local{"again1", "againpasswordagainpassword"};
  const IceCredentials server{"server-again", "serverpasswordserveragain"};
  call.Command(RestartIce{pair.subscriber.transport, server, local});
  ASSERT_TRUE(pair.subscriber.peer->client().RestartIce(local, server, call.now()));
  call.RunFor(seconds(45));  // longer than the old consent lasts
  EXPECT_EQ(pair.subscriber.peer->client().state(), ClientState::kConnected);
  EXPECT_TRUE(pair.subscriber.peer->client().transport().ice().nominated());
  EXPECT_TRUE(pair.TakenVideo().Missing().empty());
  EXPECT_GT(pair.TakenVideo().sequences.size(), 3'000u);
}

TEST(Client, EndsWhenConsentIsLost) {
  ClientCall call(EmulatedOptions());
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  call.network().SetDown(call.server(), true);
  call.RunFor(seconds(31));
  EXPECT_EQ(member.peer->client().state(), ClientState::kFailed);
  EXPECT_EQ(member.peer->EventsOf<ClientStateChanged>().back().end, ClientEnd::kIceTimeout);
  EXPECT_EQ(member.peer->client().NextDeadline(), kNever);
}

TEST(Client, ClosingNotifiesTheShard) {
  ClientCall call(EmulatedOptions());
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  member.peer->client().Close();
  call.RunFor(seconds(1));
  EXPECT_EQ(call.shard().counts().transports, 0u);
  EXPECT_EQ(member.peer->client().state(), ClientState::kClosed);
}

TEST(Client, RefusesAnotherCertificate) {
  ClientCall call(EmulatedOptions());
  ClientPeerOptions options;
  options.expected_fingerprint = DtlsCertificate::Generate()->fingerprint();
  ClientMember& member = call.Join(std::move(options));
  call.RunFor(seconds(1));
  EXPECT_EQ(member.peer->client().state(), ClientState::kFailed);
  EXPECT_EQ(member.peer->EventsOf<ClientStateChanged>().back().end, ClientEnd::kDtlsFailed);
}

TEST(Client, OnlyStunIsAcceptedFromAnUnvalidatedAddress) {
  ClientCall call(EmulatedOptions());
  ClientMember& member = call.Join();
  ASSERT_TRUE(call.RunUntilConnected());
  std::vector<uint8_t> dtls = {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const SocketAddress stranger = SocketAddress::V4({198, 51, 100, 9}, 1);
  member.peer->client().HandleDatagram(dtls, stranger, call.now(), call.now());
  std::vector<uint8_t> rtp(100, 0x80);
  member.peer->client().HandleDatagram(rtp, stranger, call.now(), call.now());
  EXPECT_EQ(member.peer->client().transport().counters().dropped_unknown_address, 2u);
}

TEST(Client, StreamsAreBounded) {
  RunBuilder out;
  ClientConfig config;
  config.transport.certificate = DtlsCertificate::Generate();
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
