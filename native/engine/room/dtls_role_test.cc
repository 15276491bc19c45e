// Peers that offer `a=setup:passive` (RFC 8842 section 5.3): the shard is the DTLS client.
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TestPeerOptions Passive() {
  TestPeerOptions options;
  options.dtls = DtlsRole::kServer;
  return options;
}

struct RoleCase {
  bool passive_publisher = false;
  bool passive_viewer = false;
  double loss = 0;  // during the handshake
  SrtpProfile profile = SrtpProfile::kAeadAes128Gcm;
};

class DtlsRoles : public ::testing::TestWithParam<RoleCase> {};

TEST_P(DtlsRoles, MediaFlowsBetweenPeersOfEitherRole) {
  EmulatedCallOptions options = EmulatedOptions(31);
  options.shard.srtp_profiles = {GetParam().profile};
  EmulatedCall call(options);
  call.network().conditions = {.loss = GetParam().loss, .delay = milliseconds(15)};
  Member& publisher = call.Join(GetParam().passive_publisher ? Passive() : TestPeerOptions{});
  Member& viewer = call.Join(GetParam().passive_viewer ? Passive() : TestPeerOptions{});
  for (const MediaKind kind : {MediaKind::kAudio, MediaKind::kVideo}) {
    call.Publish(publisher, kind);
    call.AddSlot(viewer, kind);
  }
  call.Command(BindSlot{viewer.slots[1].id, publisher.video_track});
  ASSERT_TRUE(call.RunUntilConnected(seconds(25)));
  call.network().conditions = {};
  call.StartMedia(publisher);
  call.StartMedia(viewer);
  call.RunFor(seconds(5));
  EXPECT_EQ(viewer.peer->profile(), GetParam().profile);
  EXPECT_GT(viewer.slots[0].stream->packets.size(), 200u);
  EXPECT_GT(viewer.slots[1].stream->packets.size(), 300u);
  EXPECT_EQ(viewer.slots[1].stream->Faults(call.csrcs()), "");
  EXPECT_TRUE(viewer.slots[1].stream->Missing().empty());
  EXPECT_GT(publisher.video->twcc_feedbacks, 20u) << "the way back is encrypted with the right keys";
  EXPECT_EQ(viewer.peer->rejected + publisher.peer->rejected, 0u);
  EXPECT_EQ(call.shard().drops()[DropReason::kSrtpRejected], 0u);
}

INSTANTIATE_TEST_SUITE_P(Roles, DtlsRoles,
                         ::testing::Values(RoleCase{true, false}, RoleCase{false, true}, RoleCase{true, true},
                                           RoleCase{true, true, 0.2},
                                           RoleCase{true, true, 0, SrtpProfile::kAes128CmHmacSha1_80}));

// RFC 8832 section 6: the stream ids of the two sides do not collide in either role.
TEST(DtlsRole, DataChannelsOfBothSidesUseDistinctStreams) {
  EmulatedCall call(EmulatedOptions(32));
  Member& passive = call.Join(Passive());
  Member& other = call.Join();
  DataSettings settings;
  settings.max_message_size = 256u << 10;
  for (Member* member : {&passive, &other}) {
    settings.participant = "PA_" + std::to_string(member->transport.value);
    call.Command(ConfigureData{member->transport, settings});
    member->peer->UseData();
  }
  ASSERT_TRUE(call.RunUntil(seconds(10), [&] {
    return passive.peer->UseData().channels.up() && other.peer->UseData().channels.up();
  }));
  TestData& from = passive.peer->UseData();
  TestData& to = other.peer->UseData();
  const uint16_t own = from.Open();
  EXPECT_EQ(own % 2, 1) << "the DTLS server has the odd streams";
  EXPECT_EQ(from.Send(own, "from the server of DTLS"), DataSendOutcome::kQueued);
  const uint16_t others = to.Open();
  EXPECT_EQ(others % 2, 0);
  EXPECT_EQ(to.Send(others, "to the server of DTLS"), DataSendOutcome::kQueued);
  // The receiver has no lossy channel yet, so the shard opens one.
  const uint16_t lossy = to.Open(false, false);
  EXPECT_EQ(to.Send(lossy, "on a channel of the shard's own"), DataSendOutcome::kQueued);
  ASSERT_TRUE(
      call.RunUntil(seconds(5), [&] { return from.received.size() == 2 && to.received.size() == 1; }));
  EXPECT_EQ(to.received[0]->Payload(), "from the server of DTLS");
  EXPECT_EQ(from.closed + to.closed, 0u);
}

TEST(DtlsRole, AServerWithAnotherCertificateIsRefused) {
  EmulatedCall call(EmulatedOptions(33));
  TestPeerOptions options = Passive();
  options.certificate = DtlsCertificate::Generate();
  Member& member = call.Join(options);
  TransportSettings settings = member.peer->Settings();
  settings.fingerprints = call.Join().peer->Settings().fingerprints;
  call.Command(CloseTransport{member.transport});
  const IceCredentials local{"serverX", "serverpasswordserverpassX"};
  call.Command(CreateTransport{TransportId{900}, call.room(), local, settings});
  member.peer->Connect(call.Describe(local), call.now());
  ASSERT_TRUE(
      call.RunUntil(seconds(10), [&] { return call.shard().FindTransport(TransportId{900}) == nullptr; }));
  const std::vector<TransportChanged> changes = call.EventsOf<TransportChanged>();
  EXPECT_TRUE(std::ranges::any_of(changes, [](const TransportChanged& change) {
    return change.transport == TransportId{900} && change.reason == "dtls_fingerprint_mismatch";
  }));
}

TEST(DtlsRole, NothingIsSentBeforeAnAddressIsValidated) {
  EmulatedCall call(EmulatedOptions(34));
  Member& member = call.Join(Passive());
  member.peer->TakeDatagrams();  // the first check, which is lost
  member.peer->StopChecks();
  call.RunFor(seconds(10));
  EXPECT_EQ(call.datagrams_from_server, 0u);
  call.RunFor(seconds(25));
  EXPECT_EQ(call.shard().FindTransport(member.transport), nullptr) << "connect_timeout";
}

TEST(DtlsRole, ASilentServerEndsWithTheTimeout) {
  EmulatedCall call(EmulatedOptions(35));
  Member& member = call.Join(Passive());
  ASSERT_TRUE(call.RunUntil(seconds(5), [&] { return call.datagrams_from_server > 0; }));
  member.peer->Vanish();
  call.RunFor(seconds(35));
  EXPECT_EQ(call.shard().FindTransport(member.transport), nullptr);
}

}  // namespace
}  // namespace nexus::testing
