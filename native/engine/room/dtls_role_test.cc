// Peers that offer `a=setup:passive` (RFC 8842 section 5.3): the shard is the DTLS client.
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PeerOptions Passive() {
  PeerOptions options;
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
  TestCall call(options);
  call.network().conditions = {.loss = GetParam().loss, .delay = milliseconds(15)};
  OneToOne pair(call, {MediaKind::kAudio, MediaKind::kVideo},
                GetParam().passive_publisher ? Passive() : PeerOptions{},
                GetParam().passive_viewer ? Passive() : PeerOptions{});
  ASSERT_TRUE(call.RunUntilConnected(seconds(25)));
  call.network().conditions = {};
  call.RunFor(seconds(5));
  EXPECT_EQ(pair.subscriber.peer->profile(), GetParam().profile);
  EXPECT_GT(pair.audio().packets.size(), 200u);
  EXPECT_GT(pair.video().packets.size(), 300u);
  EXPECT_EQ(pair.video().Faults(call.csrcs()), "");
  EXPECT_TRUE(pair.video().Missing().empty());
  EXPECT_GT(pair.publisher.video->twcc_feedbacks, 20u) << "the way back is encrypted with the right keys";
  EXPECT_EQ(pair.subscriber.peer->rejected + pair.publisher.peer->rejected, 0u);
  EXPECT_EQ(call.shard().drops()[DropReason::kSrtpRejected], 0u);
}

INSTANTIATE_TEST_SUITE_P(Roles, DtlsRoles,
                         ::testing::Values(RoleCase{true, false}, RoleCase{false, true}, RoleCase{true, true},
                                           RoleCase{true, true, 0.2},
                                           RoleCase{true, true, 0, SrtpProfile::kAes128CmHmacSha1_80}));

// RFC 8832 section 6: the stream ids of the two sides do not collide in either role.
TEST(DtlsRole, DataChannelsOfBothSidesUseDistinctStreams) {
  TestCall call(EmulatedOptions(32));
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
  TestCall call(EmulatedOptions(33));
  PeerOptions options = Passive();
  options.announced_fingerprint = DtlsCertificate::Generate()->fingerprint();
  const TransportId transport = call.Join(options).transport;
  ASSERT_TRUE(call.RunUntil(seconds(10), [&] { return call.shard().FindTransport(transport) == nullptr; }));
  const auto last = call.LastChangeOf(transport);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->reason, "dtls_fingerprint_mismatch");
}

TEST(DtlsRole, NothingIsSentBeforeAnAddressIsValidated) {
  TestCall call(EmulatedOptions(34));
  Member& member = call.Join(Passive());
  member.peer->TakeDatagrams();  // the first check, which is lost
  member.peer->StopChecks();
  call.RunFor(seconds(10));
  EXPECT_EQ(call.datagrams_from_server, 0u);
  call.RunFor(seconds(25));
  EXPECT_EQ(call.shard().FindTransport(member.transport), nullptr) << "connect_timeout";
}

TEST(DtlsRole, ASilentServerEndsWithTheTimeout) {
  TestCall call(EmulatedOptions(35));
  Member& member = call.Join(Passive());
  ASSERT_TRUE(call.RunUntil(seconds(5), [&] { return call.datagrams_from_server > 0; }));
  member.peer->Vanish();
  call.RunFor(seconds(35));
  EXPECT_EQ(call.shard().FindTransport(member.transport), nullptr);
}

}  // namespace
}  // namespace nexus::testing
