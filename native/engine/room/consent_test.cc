// Consent without ICE checks: peers whose authenticated packets keep arriving when their checks have stopped,
// and packets that only look as if a peer had sent them (docs/decisions/0026).
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/rtp/demultiplexer.h"
#include "engine/sctp/data_envelope.h"
#include "engine/stun/stun_writer.h"
#include "testing/emulated_options.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConsentTest : public ::testing::Test {
 protected:
  explicit ConsentTest(bool strict = false) : call_(Options(strict)) {}

  static EmulatedCallOptions Options(bool strict) {
    EmulatedCallOptions options = EmulatedOptions(17);
    options.shard.strict_consent = strict;
    return options;
  }
  // A member that sends nothing but ICE checks, until `member.peer->StopChecks()`.
  Member& Connect(PeerOptions options = {}) {
    Member& member = call_.Join(std::move(options));
    call_.Publish(member, MediaKind::kVideo);
    EXPECT_TRUE(call_.RunUntilConnected());
    return member;
  }
  const Transport* Find(const Member& member) { return call_.shard().FindTransport(member.transport); }
  // Takes the datagrams that the peer was about to send.
  std::vector<Datagram> Capture(Member& member) { return member.peer->TakeDatagrams(); }
  void Send(const std::vector<Datagram>& datagrams) {
    for (const Datagram& datagram : datagrams) call_.network().Send(Datagram(datagram), call_.now());
  }
  std::vector<TransportState> StatesOf(TransportId transport) { return call_.StatesOf(transport); }
  void ExpectThatItEndsWithinTheTimeout(const Member& member) {
    const TransportId transport = member.transport;
    call_.RunFor(seconds(25));
    EXPECT_NE(Find(member), nullptr) << "it ended early";
    call_.RunFor(seconds(7));
    ASSERT_EQ(Find(member), nullptr) << "packets that prove nothing kept it";
    const auto last = call_.LastChangeOf(transport);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->state, TransportState::kFailed);
    EXPECT_EQ(last->reason, "consent_lost");
  }

  TestCall call_;
};

TEST_F(ConsentTest, SrtpKeepsAPublisherWithoutChecks) {
  Member& publisher = Connect();
  Member& viewer = call_.Join();
  call_.AddSlot(viewer, MediaKind::kVideo);
  call_.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
  ASSERT_TRUE(call_.RunUntilConnected());
  publisher.peer->StopChecks();
  call_.Every(milliseconds(40), [&] { publisher.peer->SendVideoFrame(*publisher.video, call_.now()); });
  call_.RunFor(seconds(90));
  ASSERT_NE(Find(publisher), nullptr);
  EXPECT_EQ(StatesOf(publisher.transport), std::vector{TransportState::kConnected});
  const size_t before = viewer.slots[0].stream->packets.size();
  call_.RunFor(seconds(10));
  EXPECT_GE(viewer.slots[0].stream->packets.size(), before + 700) << "25 frames a second of 3 packets";
}

TEST_F(ConsentTest, SrtcpKeepsAViewerWithoutChecks) {
  Member& publisher = Connect();
  PeerOptions options;
  options.transport_feedback = false;
  Member& viewer = call_.Join(options);
  call_.AddSlot(viewer, MediaKind::kVideo);
  call_.Command(BindSlot{viewer.slots[0].id, publisher.video_track});
  ASSERT_TRUE(call_.RunUntilConnected());
  call_.StartMedia(publisher);
  viewer.peer->StopChecks();
  viewer.peer->fraction_lost = 0;
  // RFC 3550 section 6.2: the minimum interval of reports is 5 s.
  call_.Every(seconds(5), [&] { viewer.peer->SendReceiverReports(call_.now()); });
  call_.RunFor(seconds(90));
  ASSERT_NE(Find(viewer), nullptr);
  EXPECT_EQ(StatesOf(viewer.transport), std::vector{TransportState::kConnected});
  const size_t before = viewer.slots[0].stream->packets.size();
  call_.RunFor(seconds(10));
  EXPECT_GE(viewer.slots[0].stream->packets.size(), before + 700) << "media to it continues";
}

TEST_F(ConsentTest, DtlsKeepsAPeerWithDataChannelsWithoutChecks) {
  Member& member = Connect();
  call_.Command(ConfigureData{member.transport, {.participant = "PA_1", .publish = true, .receive = true}});
  TestData& data = member.peer->UseData();
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return data.channels.up(); }));
  const uint16_t stream = data.Open();
  member.peer->StopChecks();
  call_.Every(seconds(10), [&] { data.Send(stream, "still here"); });
  call_.RunFor(seconds(90));
  ASSERT_NE(Find(member), nullptr);
  EXPECT_EQ(StatesOf(member.transport), std::vector{TransportState::kConnected});
}

TEST_F(ConsentTest, SilenceForHalfTheTimeoutIsADisconnectUntilTheNextPacket) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  call_.RunFor(seconds(20));
  publisher.peer->SendVideoFrame(*publisher.video, call_.now());
  // Its arrival ends the disconnect, not the next timeout.
  call_.RunFor(call_.network().conditions.delay + milliseconds(1));
  EXPECT_EQ(
      StatesOf(publisher.transport),
      (std::vector{TransportState::kConnected, TransportState::kDisconnected, TransportState::kConnected}));
}

TEST_F(ConsentTest, WithoutChecksAndMediaTheTransportEnds) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  for (int i = 0; i < 12; ++i) {
    publisher.peer->SendVideoFrame(*publisher.video, call_.now());
    call_.RunFor(seconds(5));
  }
  publisher.peer->SendVideoFrame(*publisher.video, call_.now());
  ExpectThatItEndsWithinTheTimeout(publisher);
}

TEST_F(ConsentTest, ReplayedPacketsProveNothing) {
  Member& publisher = Connect();
  call_.Command(
      ConfigureData{publisher.transport, {.participant = "PA_1", .publish = true, .receive = true}});
  TestData& data = publisher.peer->UseData();
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return data.channels.up(); }));
  const uint16_t stream = data.Open();
  call_.RunFor(seconds(1));
  publisher.peer->SendVideoFrame(*publisher.video, call_.now());
  publisher.peer->SendSenderReport(*publisher.video, call_.now());
  data.Send(stream, "hello");
  const std::vector<Datagram> captured = Capture(publisher);
  std::array<size_t, 3> kinds{};
  for (const Datagram& datagram : captured) {
    const Protocol protocol = Demultiplex(datagram.bytes);
    kinds[protocol == Protocol::kRtp ? 0 : protocol == Protocol::kRtcp ? 1 : 2] += 1;
  }
  ASSERT_EQ(kinds[0], 3u);
  ASSERT_EQ(kinds[1], 1u);
  ASSERT_GE(kinds[2], 1u) << "a DTLS record";
  Send(captured);
  call_.RunFor(milliseconds(200));
  const uint64_t rejected = call_.shard().drops()[DropReason::kSrtpRejected];
  publisher.peer->Vanish();
  call_.Every(milliseconds(500), [&] { Send(captured); });
  ExpectThatItEndsWithinTheTimeout(publisher);
  EXPECT_GE(call_.shard().drops()[DropReason::kSrtpRejected], rejected + 50 * 4);
}

TEST_F(ConsentTest, ForgedPacketsFromTheSelectedAddressProveNothing) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  const uint64_t rejected = call_.shard().drops()[DropReason::kSrtpRejected];
  call_.Every(milliseconds(500), [&] {
    publisher.peer->SendVideoFrame(*publisher.video, call_.now());
    publisher.peer->SendSenderReport(*publisher.video, call_.now());
    std::vector<Datagram> forged = Capture(publisher);
    for (Datagram& datagram : forged) datagram.bytes.back() ^= 1;  // of the tag, or of what it protects
    // A DTLS record of epoch 1 that is not encrypted.
    std::vector<uint8_t> record = {23, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 99, 0, 64};
    record.resize(record.size() + 64, 0x5A);
    forged.push_back({publisher.peer->address(), call_.server(), std::move(record)});
    Send(forged);
  });
  ExpectThatItEndsWithinTheTimeout(publisher);
  EXPECT_GE(call_.shard().drops()[DropReason::kSrtpRejected], rejected + 50 * 4);
}

TEST_F(ConsentTest, PacketsFromAnUnknownAddressProveNothing) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  call_.MoveTo(publisher, call_.NewAddress());
  const uint64_t unknown = call_.shard().drops()[DropReason::kUnknownAddress];
  call_.Every(milliseconds(500), [&] { publisher.peer->SendVideoFrame(*publisher.video, call_.now()); });
  ExpectThatItEndsWithinTheTimeout(publisher);
  EXPECT_GE(call_.shard().drops()[DropReason::kUnknownAddress], unknown + 50 * 3);
}

TEST_F(ConsentTest, PacketsFromAValidatedAddressThatIsNotSelectedProveNothing) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  const SocketAddress selected = publisher.peer->address();
  const SocketAddress other = call_.NewAddress();
  call_.MoveTo(publisher, other);
  publisher.peer->SendRaw(
      publisher.peer->MakeCheck(call_.ServerIce(publisher.transport), /*nominate=*/false));
  ASSERT_TRUE(call_.RunUntil(seconds(10), [&] { return call_.shard().Knows(other); }));
  ASSERT_EQ(Find(publisher)->ice().selected(), selected);
  uint64_t before = 0;
  call_.Every(milliseconds(500), [&] {
    publisher.peer->SendVideoFrame(*publisher.video, call_.now());
    if (const Transport* transport = Find(publisher)) before = transport->Stats().packets_in;
  });
  ExpectThatItEndsWithinTheTimeout(publisher);
  EXPECT_GE(before, 50u * 3u) << "they were accepted nevertheless";
}

TEST_F(ConsentTest, IndicationsAreCountedAndProveNothing) {
  Member& publisher = Connect();
  publisher.peer->StopChecks();
  StunWriter writer(StunClass::kIndication, kStunBinding, {7});
  writer.Fingerprint();
  const std::vector<uint8_t> indication = writer.ToVector();
  const uint64_t rejected = call_.shard().drops()[DropReason::kStunRejected];
  call_.Every(seconds(1), [&] { publisher.peer->SendRaw(indication); });
  ExpectThatItEndsWithinTheTimeout(publisher);
  EXPECT_GE(call_.shard().drops()[DropReason::kStunIndication], 25u);
  EXPECT_EQ(call_.shard().drops()[DropReason::kStunRejected], rejected);
}

class StrictConsentTest : public ConsentTest {
 protected:
  StrictConsentTest() : ConsentTest(true) {}
};

TEST_F(StrictConsentTest, EndsSendingAfterTheTimeoutAndReceivingAfterAnother) {
  Member& member = Connect();
  Member& other = call_.Join();
  call_.Publish(other, MediaKind::kVideo);
  call_.AddSlot(member, MediaKind::kVideo);
  call_.AddSlot(other, MediaKind::kVideo);
  call_.Command(BindSlot{member.slots[0].id, other.video_track});
  call_.Command(BindSlot{other.slots[0].id, member.video_track});
  ASSERT_TRUE(call_.RunUntilConnected());
  bool sending = true;
  call_.Every(milliseconds(40), [&] {
    if (sending) member.peer->SendVideoFrame(*member.video, call_.now());
  });
  call_.StartMedia(other);
  call_.Command(ConfigureData{member.transport, {.participant = "PA_1", .publish = true, .receive = true}});
  TestData& data = member.peer->UseData();
  ASSERT_TRUE(call_.RunUntil(seconds(5), [&] { return data.channels.up(); }));
  const auto message = std::make_shared<const std::vector<uint8_t>>(WriteDataEnvelope(DataEnvelope{}));
  call_.Every(seconds(1), [&] { call_.Command(SendData{call_.room(), {member.transport}, {}, {message}}); });
  member.peer->StopChecks();
  call_.RunFor(seconds(25));
  EXPECT_GE(member.peer->rtp_received, 1'500u);
  EXPECT_GE(data.received.size(), 20u);
  call_.RunFor(seconds(6));
  const uint64_t datagrams = member.peer->datagrams_received;
  const size_t seen = other.slots[0].stream->packets.size();
  call_.RunFor(seconds(60));
  EXPECT_EQ(member.peer->datagrams_received, datagrams)
      << "RFC 7675 section 5.1: neither media nor data is sent without consent";
  EXPECT_GE(other.slots[0].stream->packets.size(), seen + 1'000) << "what it sends is accepted";
  EXPECT_EQ(StatesOf(member.transport),
            (std::vector{TransportState::kConnected, TransportState::kDisconnected}));
  sending = false;
  const uint64_t to_it = member.peer->datagrams_received;
  ExpectThatItEndsWithinTheTimeout(member);
  EXPECT_EQ(member.peer->datagrams_received, to_it) << "not even a close_notify";
}

TEST_F(StrictConsentTest, OnlyARestartRenewsConsentThatHasExpired) {
  Member& member = Connect();
  Member& other = call_.Join();
  call_.Publish(other, MediaKind::kVideo);
  call_.AddSlot(member, MediaKind::kVideo);
  call_.Command(BindSlot{member.slots[0].id, other.video_track});
  ASSERT_TRUE(call_.RunUntilConnected());
  call_.StartMedia(other);
  call_.Every(milliseconds(40), [&] { member.peer->SendVideoFrame(*member.video, call_.now()); });
  member.peer->StopChecks();
  call_.RunFor(seconds(31));
  const uint64_t rtp = member.peer->rtp_received;
  member.peer->ResumeChecks();
  call_.RunFor(seconds(10));
  EXPECT_EQ(member.peer->rtp_received, rtp) << "the same credentials do not renew it";
  const IceCredentials server{"serverxx", "anotherserverpassword0000"};
  const IceCredentials client{"clientxx", "anotherclientpassword0000"};
  call_.Command(RestartIce{member.transport, server, client});
  call_.RunFor(seconds(3));
  EXPECT_EQ(member.peer->rtp_received, rtp) << "the peer has not nominated an address yet";
  member.peer->RestartIce(client, server, call_.now());
  call_.RunFor(seconds(10));
  EXPECT_GE(member.peer->rtp_received, rtp + 500);
  EXPECT_EQ(StatesOf(member.transport).back(), TransportState::kConnected);
}

TEST_F(StrictConsentTest, ChecksAreEnough) {
  Member& member = Connect();
  call_.RunFor(seconds(90));
  ASSERT_NE(Find(member), nullptr);
  EXPECT_EQ(StatesOf(member.transport), std::vector{TransportState::kConnected});
}

}  // namespace
}  // namespace nexus::testing
