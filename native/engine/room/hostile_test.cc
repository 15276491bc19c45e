// Peers that fail, lie or leave at the worst moment: everything stays bounded and is freed. Floods and peers
// that come and go at random are in client_churn_test.cc.
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Hard problem 15: when checks stop, media stops within 30 s (RFC 7675 section 5.1) and everything is freed.
TEST(Hostile, LostConsentStopsMediaAndFreesEverything) {
  TestCall call(EmulatedOptions(1));
  const Shard::Counts empty_room = call.shard().counts();
  OneToOne pair(call, {MediaKind::kVideo});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  pair.subscriber.peer->Vanish();
  const Timestamp vanished = call.now();
  const uint64_t before = call.datagrams_from_server;
  ASSERT_TRUE(call.RunUntil(
      seconds(40), [&] { return call.shard().FindTransport(pair.subscriber.transport) == nullptr; }));
  EXPECT_GT(call.datagrams_from_server, before);
  EXPECT_LE(call.now() - vanished, seconds(31));
  EXPECT_EQ(
      call.StatesOf(pair.subscriber.transport),
      (std::vector{TransportState::kConnected, TransportState::kDisconnected, TransportState::kFailed}));
  EXPECT_EQ(call.LastChangeOf(pair.subscriber.transport)->reason, "consent_lost");
  pair.publisher.peer->Vanish();
  call.RunFor(seconds(40));
  EXPECT_EQ(call.shard().counts(), empty_room);
}

TEST(Hostile, AShortOutageIsADisconnectAndAReconnect) {
  TestCall call(EmulatedOptions(2));
  OneToOne pair(call, {MediaKind::kVideo});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  call.network().SetDown(pair.subscriber.peer->address(), true);
  call.RunFor(seconds(21));
  call.network().SetDown(pair.subscriber.peer->address(), false);
  call.RunFor(seconds(12));
  EXPECT_EQ(
      call.StatesOf(pair.subscriber.transport),
      (std::vector{TransportState::kConnected, TransportState::kDisconnected, TransportState::kConnected}));
}

TEST(Hostile, AWrongFingerprintFailsTheTransport) {
  TestCall call(EmulatedOptions(3));
  PeerOptions liar;
  liar.announced_fingerprint = DtlsCertificate::Generate()->fingerprint();
  const TransportId transport = call.Join(liar).transport;
  ASSERT_TRUE(call.RunUntil(seconds(10), [&] { return call.shard().FindTransport(transport) == nullptr; }));
  const auto last = call.LastChangeOf(transport);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->state, TransportState::kFailed);
  EXPECT_EQ(last->reason, "dtls_fingerprint_mismatch");
}

TEST(Hostile, APeerThatNeverConnectsIsRemovedAfterTheTimeout) {
  TestCall call(EmulatedOptions(4));
  const Shard::Counts empty_room = call.shard().counts();
  call.Join().peer->Vanish();
  const Member& connected = call.Join();
  call.RunFor(seconds(36));
  EXPECT_EQ(call.shard().counts().transports, 1u);
  EXPECT_NE(call.shard().FindTransport(connected.transport), nullptr);
  connected.peer->Vanish();
  call.RunFor(seconds(35));
  EXPECT_EQ(call.shard().counts(), empty_room);
  size_t timeouts = 0;
  for (const TransportChanged& change : call.EventsOf<TransportChanged>())
    timeouts += change.reason == "connect_timeout";
  EXPECT_EQ(timeouts, 1u);
}

// Hard problem 9: an authenticated peer invents SSRCs.
TEST(Hostile, AHundredThousandInventedSsrcsCreateNoState) {
  TestCall call(EmulatedOptions(7));
  OneToOne pair(call, {MediaKind::kVideo});
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

// Hard problem 4: a publisher's probes reach subscribers neither as packets nor as gaps.
TEST(Hostile, PaddingOnlyProbesLeaveNoGap) {
  TestCall call(EmulatedOptions(8));
  OneToOne pair(call, {MediaKind::kVideo});
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

// Hard problem 14: media continues during a restart, here to another address, and the old credentials are
// answered until the new ones have been used.
TEST(Hostile, AnIceRestartUnderMediaLosesNothing) {
  TestCall call(EmulatedOptions(9));
  OneToOne pair(call, {MediaKind::kVideo});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  const IceCredentials server{"restarted", "restartedrestartedrestarted"};
  const IceCredentials client{"peerufrag2", "peerpasswordpeerpassword2"};
  call.Command(RestartIce{pair.subscriber.transport, server, client});
  EXPECT_EQ(call.shard().counts().ufrags, 3u);
  const SocketAddress moved = call.NewAddress();
  call.MoveTo(pair.subscriber, moved);
  pair.subscriber.peer->RestartIce(client, server, call.now());
  const Transport* transport = call.shard().FindTransport(pair.subscriber.transport);
  ASSERT_TRUE(call.RunUntil(seconds(1), [&] { return transport->ice().selected() == moved; }));
  const size_t before = pair.video().packets.size();
  call.RunFor(seconds(2));
  EXPECT_GE(pair.video().packets.size(), before + 140);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
  EXPECT_TRUE(pair.video().Missing().empty());
  EXPECT_TRUE(call.EventsOf<CommandRejected>().empty());
  EXPECT_EQ(transport->state(), TransportState::kConnected);
}

TEST(Hostile, CommandsAboutRemovedPartsAreRejectedAndHarmless) {
  TestCall call(EmulatedOptions(10));
  OneToOne pair(call, {MediaKind::kVideo});
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
