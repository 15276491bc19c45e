// Peers that fail, flood, lie or leave at the worst moment: everything stays bounded and is freed.
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A call in which one sends video to the other.
struct Pair {
  explicit Pair(EmulatedCall& call) : publisher(call.Join()), subscriber(call.Join()) {
    call.Publish(publisher, MediaKind::kVideo);
    call.AddSlot(subscriber, MediaKind::kVideo);
    call.Command(BindSlot{subscriber.slots[0].id, publisher.video_track});
    call.StartMedia(publisher);
    call.StartMedia(subscriber);
  }
  ReceivedStream& video() { return *subscriber.slots[0].stream; }
  Member& publisher;
  Member& subscriber;
};

// Hard problem 15: when checks stop, media stops within 30 s (RFC 7675 section 5.1) and everything is freed.
TEST(Hostile, LostConsentStopsMediaAndFreesEverything) {
  EmulatedCall call(EmulatedOptions(1));
  const Shard::Counts empty_room = call.shard().counts();
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  pair.subscriber.peer->Vanish();
  const Timestamp vanished = call.now();
  const uint64_t before = call.datagrams_from_server;
  ASSERT_TRUE(call.RunUntil(
      seconds(40), [&] { return call.shard().FindTransport(pair.subscriber.transport) == nullptr; }));
  EXPECT_GT(call.datagrams_from_server, before);
  EXPECT_LE(call.now() - vanished, seconds(31));
  std::vector<TransportState> states;
  for (const TransportChanged& change : call.EventsOf<TransportChanged>()) {
    if (change.transport != pair.subscriber.transport) continue;
    states.push_back(change.state);
    if (change.state == TransportState::kFailed) {
      EXPECT_EQ(change.reason, "consent_lost");
    }
  }
  EXPECT_EQ(states, (std::vector{TransportState::kConnected, TransportState::kDisconnected,
                                 TransportState::kFailed}));
  pair.publisher.peer->Vanish();
  call.RunFor(seconds(40));
  EXPECT_EQ(call.shard().counts(), empty_room);
}

TEST(Hostile, AShortOutageIsADisconnectAndAReconnect) {
  EmulatedCall call(EmulatedOptions(2));
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  call.network().SetDown(pair.subscriber.peer->address(), true);
  call.RunFor(seconds(21));
  call.network().SetDown(pair.subscriber.peer->address(), false);
  call.RunFor(seconds(12));
  std::vector<TransportState> states;
  for (const TransportChanged& change : call.EventsOf<TransportChanged>()) {
    if (change.transport == pair.subscriber.transport) states.push_back(change.state);
  }
  EXPECT_EQ(states, (std::vector{TransportState::kConnected, TransportState::kDisconnected,
                                 TransportState::kConnected}));
}

TEST(Hostile, AWrongFingerprintFailsTheTransport) {
  EmulatedCall call(EmulatedOptions(3));
  TestPeerOptions liar;
  liar.certificate = DtlsCertificate::Generate();
  Member& member = call.Join(liar);
  // Signaling names another certificate than the peer has.
  Member& other = call.Join();
  TransportSettings settings = member.peer->Settings();
  settings.fingerprints = other.peer->Settings().fingerprints;
  call.Command(CloseTransport{member.transport});
  const IceCredentials local{"serverX", "serverpasswordserverpassX"};
  call.Command(CreateTransport{TransportId{900}, call.room(), local, settings});
  member.peer->Connect(call.Describe(local), call.now());
  ASSERT_TRUE(
      call.RunUntil(seconds(10), [&] { return call.shard().FindTransport(TransportId{900}) == nullptr; }));
  bool told = false;
  for (const TransportChanged& change : call.EventsOf<TransportChanged>()) {
    if (change.transport != TransportId{900}) continue;
    EXPECT_EQ(change.state, TransportState::kFailed);
    EXPECT_EQ(change.reason, "dtls_fingerprint_mismatch");
    told = true;
  }
  EXPECT_TRUE(told);
}

TEST(Hostile, APeerThatNeverConnectsIsRemovedAfterTheTimeout) {
  EmulatedCall call(EmulatedOptions(4));
  const Shard::Counts empty_room = call.shard().counts();
  call.Join().peer->Vanish();
  // This one answers to ICE and never speaks DTLS.
  Member& silent = call.Join();
  call.RunFor(seconds(1));
  (void)silent;
  call.RunFor(seconds(35));
  EXPECT_EQ(call.shard().counts().transports, 1u) << "the one that finished its handshake";
  call.members[1]->peer->Vanish();
  call.RunFor(seconds(35));
  EXPECT_EQ(call.shard().counts(), empty_room);
  size_t timeouts = 0;
  for (const TransportChanged& change : call.EventsOf<TransportChanged>())
    timeouts += change.reason == "connect_timeout";
  EXPECT_EQ(timeouts, 1u);
}

// Hard problem 16: counts return to the start, wherever the connecting was cut off.
TEST(Hostile, TenThousandConnectsAndAbortsLeaveNothing) {
  EmulatedCall call(EmulatedOptions(5));
  const Shard::Counts before = call.shard().counts();
  std::uniform_int_distribution<int64_t> when(0, 60'000);
  std::uniform_int_distribution<int> how(0, 3);
  constexpr int kCycles = 10'000;
  size_t handshakes = 0;
  for (int i = 0; i < kCycles; ++i) {
    Member& member = call.Join();
    call.Publish(member, MediaKind::kVideo);
    call.AddSlot(member, MediaKind::kVideo);
    call.Command(BindSlot{member.slots[0].id, member.video_track});
    // A handshake costs milliseconds of real time; one in twenty goes so far.
    if (i % 20 == 0) {
      call.RunFor(Duration(5 * when(call.network().random())));
    } else {
      call.RunFor(Duration(when(call.network().random()) % 15'000));
    }
    handshakes += member.peer->connected() ? 1 : 0;
    if (how(call.network().random()) == 0) member.peer->Close();
    call.Command(CloseTransport{member.transport});
    call.ForgetMembers();
    call.events.clear();
    ASSERT_EQ(call.shard().counts(), before);
  }
  EXPECT_GT(handshakes, 10u);
}

// Hard problem 13: a flood beside a call costs it nothing, and no address gets DTLS without a valid check.
TEST(Hostile, AFloodOfGarbageBesideACallChangesNothingInIt) {
  EmulatedCall call(EmulatedOptions(6));
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  std::mt19937_64& random = call.network().random();
  const Shard::Counts before = call.shard().counts();
  const uint64_t sent_before = call.datagrams_from_server;
  uint64_t flooded = 0;
  call.Every(milliseconds(10), [&] {
    for (int i = 0; i < 400; ++i) {
      std::vector<uint8_t> bytes(1 + random() % 300);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
      static constexpr std::array<uint8_t, 5> kFirstBytes = {0x00, 0x16, 0x80, 0x90, 0xFF};
      bytes[0] = kFirstBytes[random() % kFirstBytes.size()];
      // From strangers, and with the forged address of the subscriber.
      const bool forged = i % 10 == 0;
      const SocketAddress from = forged ? pair.subscriber.peer->address() : call.NewAddress();
      call.shard().HandleDatagram(bytes, from, call.now());
      ++flooded;
    }
  });
  call.RunFor(seconds(4));
  ASSERT_GT(flooded, 100'000u);
  EXPECT_EQ(call.shard().counts(), before);
  EXPECT_GT(pair.video().packets.size(), 250u);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
  // Nothing was answered: what left is the call's own traffic.
  EXPECT_LT(call.datagrams_from_server - sent_before, 2'000u);
  const DropCounters& drops = call.shard().drops();
  EXPECT_GT(drops[DropReason::kUnknownAddress], 30'000u);
  EXPECT_GT(drops[DropReason::kUnknownUfrag], 1'000u);
  EXPECT_GT(drops[DropReason::kSrtpRejected], 1'000u);
  EXPECT_GT(drops[DropReason::kUnknownProtocol], 1'000u);
}

// Hard problem 9: an authenticated peer invents SSRCs.
TEST(Hostile, AHundredThousandInventedSsrcsCreateNoState) {
  EmulatedCall call(EmulatedOptions(7));
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(1));
  const Transport* transport = call.shard().FindTransport(pair.publisher.transport);
  const size_t known = transport->ssrc_count();
  const Shard::Counts before = call.shard().counts();
  std::mt19937_64& random = call.network().random();
  const uint8_t mid_id = static_cast<uint8_t>(pair.publisher.peer->options().first_extension_id + 3);
  const std::string& mid = pair.publisher.video->options.mid;
  for (int i = 0; i < 100'000; ++i) {
    std::vector<uint8_t> header(12);
    ByteWriter writer(header);
    const bool with_mid = i % 2 == 0;  // half of them claim to belong to the camera's section
    writer.U8(with_mid ? 0x90 : 0x80);
    writer.U8(i % 4 < 2 ? 96 : 97);
    writer.U16(static_cast<uint16_t>(random()));
    writer.U32(static_cast<uint32_t>(random()));
    writer.U32(static_cast<uint32_t>(random()));
    if (with_mid) {
      std::vector<uint8_t> block = {0xBE, 0xDE, 0, 1, static_cast<uint8_t>(mid_id << 4 | (mid.size() - 1))};
      block.insert(block.end(), mid.begin(), mid.end());
      block.resize(8, 0);
      header.insert(header.end(), block.begin(), block.end());
    }
    const uint16_t sequence = static_cast<uint16_t>(header[2] << 8 | header[3]);
    pair.publisher.peer->SendRtp(header, std::vector<uint8_t>(20, 1), sequence);
    if (i % 1000 == 0) call.RunFor(milliseconds(1));
  }
  call.RunFor(seconds(3));
  EXPECT_LE(transport->ssrc_count(), known + 1);
  EXPECT_EQ(call.shard().counts(), before);
  const DropCounters& drops = call.shard().drops();
  EXPECT_GE(
      drops[DropReason::kUnknownSsrc] + drops[DropReason::kSsrcTableFull] + drops[DropReason::kRtxUnusable],
      99'000u);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
  EXPECT_GT(pair.video().packets.size(), 250u);
}

// Hard problem 23: closing anything at any time, under ASan.
class RandomCloses : public ::testing::TestWithParam<uint64_t> {};

TEST_P(RandomCloses, HarmNobodyAndLeaveNothing) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  EmulatedCall call(EmulatedOptions(GetParam()));
  const Shard::Counts empty_room = call.shard().counts();
  call.network().conditions = {
      .loss = 0.02, .duplication = 0.01, .delay = milliseconds(5), .jitter = milliseconds(5)};
  for (int i = 0; i < 8; ++i) {
    Member& member = call.Join();
    call.Publish(member, MediaKind::kVideo);
    call.Publish(member, MediaKind::kAudio);
    for (int pair = 0; pair < 3; ++pair) {
      call.AddSlot(member, MediaKind::kAudio, pair);
      call.AddSlot(member, MediaKind::kVideo, pair);
    }
    call.StartMedia(member);
  }
  ASSERT_TRUE(call.RunUntilConnected());
  std::mt19937_64& random = call.network().random();
  const auto any = [&]() -> Member& { return *call.members[random() % call.members.size()]; };
  for (int i = 0; i < 400; ++i) {
    Member& one = any();
    Member& other = any();
    const Member::Slot& slot = one.slots[random() % one.slots.size()];
    switch (random() % 11) {
      case 0:
        call.Command(BindSlot{slot.id, other.video_track});
        break;
      case 1:
        call.Command(BindSlot{slot.id, one.video_track});
        break;
      case 2:
        call.Command(UnbindSlot{slot.id});
        break;
      case 3:
        call.Command(MuteTrack{one.video_track, random() % 2 == 0});
        break;
      case 4:
        call.Command(MuteTrack{one.audio_track, random() % 2 == 0});
        break;
      case 5:
        call.Command(SetSubscribed{one.transport, other.audio_track, random() % 2 == 0});
        break;
      case 6:
        call.Command(RequestKeyframe{one.video_track});
        break;
      case 7:
        if (random() % 8 == 0) call.Command(RemoveSlot{slot.id});
        break;
      case 8:
        if (random() % 8 == 0)
          call.Command(RemoveTrack{random() % 2 == 0 ? one.video_track : one.audio_track});
        break;
      case 9:
        if (random() % 20 == 0) call.Command(CloseTransport{one.transport});
        break;
      default:
        call.Command(RequestReport{1, std::nullopt});
        break;
    }
    call.RunFor(Duration(static_cast<int64_t>(random() % 30'000)));
  }
  call.Command(CloseRoom{call.room()});
  Shard::Counts nothing;
  EXPECT_EQ(call.shard().counts(), nothing);
  EXPECT_NE(empty_room, nothing);
  call.RunFor(seconds(1));
  EXPECT_EQ(call.shard().counts(), nothing);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCloses, ::testing::Values(1, 2, 3, 4, 5, 6));

// Hard problem 4: a publisher's probes reach subscribers neither as packets nor as gaps.
TEST(Hostile, PaddingOnlyProbesLeaveNoGap) {
  EmulatedCall call(EmulatedOptions(8));
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.Every(milliseconds(130), [&] {
    PublishedStream& stream = *pair.publisher.video;
    std::vector<uint8_t> header(12);
    ByteWriter writer(header);
    writer.U8(0xA0);  // version 2, padding
    writer.U8(96);
    writer.U16(static_cast<uint16_t>(stream.sequence));
    writer.U32(stream.TimestampAt(call.now()));
    writer.U32(stream.options.ssrc.value);
    std::vector<uint8_t> padding(200, 0);
    padding.back() = 200;
    pair.publisher.peer->SendRtp(header, padding, static_cast<uint64_t>(stream.sequence++));
  });
  call.RunFor(seconds(5));
  EXPECT_GT(call.shard().drops()[DropReason::kPaddingOnly], 20u);
  EXPECT_GT(pair.video().packets.size(), 300u);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
}

// Hard problem 14: media goes on under a restart, and the old credentials are answered until the new ones
// win.
TEST(Hostile, AnIceRestartUnderMediaLosesNothing) {
  EmulatedCall call(EmulatedOptions(9));
  Pair pair(call);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  const IceCredentials local{"restarted", "restartedrestartedrestarted"};
  const IceCredentials remote{"peerufrag2", "peerpasswordpeerpassword2"};
  call.Command(RestartIce{pair.subscriber.transport, local, remote});
  EXPECT_EQ(call.shard().counts().ufrags, 3u);
  IceControlling again(remote, local, {}, 99, call.now());
  const SocketAddress moved = call.NewAddress();
  while (auto check = again.PollTransmit(call.now())) {
    call.shard().HandleDatagram(*check, moved, call.now());
    break;
  }
  EXPECT_EQ(call.shard().FindTransport(pair.subscriber.transport)->ice().selected(), moved);
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
  // Media now goes to the new address.
  const size_t before = pair.video().packets.size();
  call.RunFor(seconds(1));
  EXPECT_LE(pair.video().packets.size(), before + 10);
  EXPECT_EQ(call.shard().FindTransport(pair.subscriber.transport)->state(), TransportState::kConnected);
}

TEST(Hostile, CommandsAboutRemovedPartsAreRejectedAndHarmless) {
  EmulatedCall call(EmulatedOptions(10));
  Pair pair(call);
  call.Command(CloseTransport{pair.publisher.transport});
  call.Command(CloseTransport{pair.publisher.transport});
  call.Command(BindSlot{pair.subscriber.slots[0].id, pair.publisher.video_track});
  call.Command(MuteTrack{pair.publisher.video_track, true});
  call.Command(ResizeTrack{pair.publisher.video_track, {{640, 480}}});
  call.Command(SetSubscribed{pair.subscriber.transport, TrackId{99}, false});
  call.Command(AddTrack{TrackId{77}, pair.publisher.transport, {}});
  call.RunFor(milliseconds(1));
  std::vector<std::string> rejected;
  for (const CommandRejected& event : call.EventsOf<CommandRejected>()) rejected.push_back(event.command);
  EXPECT_EQ(rejected, (std::vector<std::string>{"close_transport", "bind_slot", "set_track_muted",
                                                "set_track_sizes", "set_subscribed", "add_track"}));
}

TEST(Hostile, EventsThatAreNotFetchedAreBoundedAndCounted) {
  EmulatedCallOptions options = EmulatedOptions(11);
  options.shard.max_events = 10;
  options.shard.certificate = DtlsCertificate::Generate();
  Shard shard(options.shard);
  for (uint32_t i = 0; i < 25; ++i) shard.HandleCommand(CloseRoom{RoomId{i}}, TimestampFromMicros(1));
  EXPECT_EQ(shard.drops()[DropReason::kEventOverflow], 15u);
  int events = 0;
  while (shard.PollEvent()) ++events;
  EXPECT_EQ(events, 10);
}

}  // namespace
}  // namespace nexus::testing
