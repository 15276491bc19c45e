// The ICE-lite side with hand-made checks: responses, the selected address, consent, restarts and bounds.
#include "engine/ice/ice_lite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "engine/stun/stun_writer.h"

namespace nexus {
namespace {

using std::chrono::seconds;

const IceCredentials kLocal{"srvU", "server-password-of-22-chars"};
const IceCredentials kRemote{"cliU", "client-password-of-22-chars"};
const IceCredentials kLocal2{"srv2", "another-server-password-22"};
const IceCredentials kRemote2{"cli2", "another-client-password-22"};

SocketAddress Address(uint8_t last) { return SocketAddress::V4({192, 0, 2, last}, 4000); }

Timestamp At(int64_t second) { return TimestampFromMicros(second * 1'000'000); }

using Change = std::function<void(StunWriter&)>;

struct Check {
  const IceCredentials* local = &kLocal;
  const IceCredentials* remote = &kRemote;
  bool nominate = false;
  bool controlled = false;
  bool priority = true;
  Change change = nullptr;  // more attributes
};

std::vector<uint8_t> Make(const Check& check) {
  StunWriter writer(StunClass::kRequest, kStunBinding, {7});
  writer.Username(check.local->ufrag + ":" + check.remote->ufrag);
  if (check.priority) writer.Priority(100);
  if (check.controlled) {
    writer.IceControlled(1);
  } else {
    writer.IceControlling(1);
  }
  if (check.nominate) writer.UseCandidate();
  if (check.change) check.change(writer);
  writer.MessageIntegrity(check.local->pwd);
  writer.Fingerprint();
  return writer.ToVector();
}

class IceLiteTest : public testing::Test {
 protected:
  IceStunOutcome Send(const Check& check, uint8_t from, int64_t second = 0) {
    return ice_.HandleStun(Make(check), Address(from), At(second));
  }
  IceLite ice_{kLocal, kRemote, {}, At(0)};
};

uint16_t ErrorOf(const IceStunOutcome& outcome) {
  const auto message = ParseStun(outcome.response);
  return message ? message->error_code.value_or(0) : 0;
}

TEST_F(IceLiteTest, AnswersACheckWithItsSourceAddress) {
  const IceStunOutcome outcome = Send({}, 1);
  EXPECT_TRUE(outcome.authenticated);
  EXPECT_TRUE(outcome.selected_changed) << "the first validated address carries media until one is nominated";
  const auto response = ParseStun(outcome.response);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->message_class, StunClass::kSuccess);
  EXPECT_EQ(response->transaction_id, StunTransactionId{7});
  EXPECT_EQ(response->xor_mapped_address, Address(1));
  EXPECT_TRUE(VerifyStunIntegrity(*response, kLocal.pwd));
  EXPECT_TRUE(VerifyStunFingerprint(*response));
  EXPECT_TRUE(ice_.IsValidated(Address(1)));
  EXPECT_FALSE(ice_.IsValidated(Address(2)));
  EXPECT_EQ(ice_.selected(), Address(1));
}

TEST_F(IceLiteTest, SupportsIpv6) {
  const auto from = SocketAddress::Parse("2001:db8::1", 9);
  const IceStunOutcome outcome = ice_.HandleStun(Make({}), *from, At(0));
  EXPECT_EQ(ParseStun(outcome.response)->xor_mapped_address, *from);
  EXPECT_EQ(ice_.selected(), *from);
}

TEST_F(IceLiteTest, AnswersNothingUnauthenticated) {
  const IceCredentials wrong_password{kLocal.ufrag, "not-the-password-of-the-server"};
  const IceCredentials stranger{"abcd", kLocal.pwd};
  const IceCredentials longer{"srvUx", kLocal.pwd};
  std::vector<std::vector<uint8_t>> datagrams = {Make({.local = &wrong_password}), Make({.local = &stranger}),
                                                 Make({.local = &longer}), Make({.remote = &stranger})};
  StunWriter bare(StunClass::kRequest, kStunBinding, {7});
  datagrams.push_back(bare.ToVector());
  bare.Username("srvU:cliU");
  datagrams.push_back(bare.ToVector());  // without integrity
  StunWriter allocate(StunClass::kRequest, 3, {7});
  datagrams.push_back(allocate.ToVector());
  StunWriter response(StunClass::kSuccess, kStunBinding, {7});
  datagrams.push_back(response.ToVector());
  std::vector<uint8_t> bad_checksum = Make({});
  bad_checksum.back() ^= 1;
  datagrams.push_back(bad_checksum);
  datagrams.push_back({1, 2, 3});
  for (const auto& datagram : datagrams) {
    const IceStunOutcome outcome = ice_.HandleStun(datagram, Address(1), At(1));
    EXPECT_FALSE(outcome.authenticated);
    EXPECT_TRUE(outcome.response.empty());
  }
  EXPECT_FALSE(ice_.selected());
  EXPECT_TRUE(ice_.validated().empty());
  const IceCounters& counters = ice_.counters();
  EXPECT_EQ(counters.dropped_username, 4u);
  EXPECT_EQ(counters.dropped_integrity, 2u);
  EXPECT_EQ(counters.dropped_unexpected, 2u);
  EXPECT_EQ(counters.dropped_fingerprint, 1u);
  EXPECT_EQ(counters.dropped_malformed, 1u);
  EXPECT_EQ(ice_.next_deadline(), At(30)) << "and does not extend the deadline";
}

TEST_F(IceLiteTest, IgnoresIndications) {
  StunWriter writer(StunClass::kIndication, kStunBinding, {7});
  writer.Fingerprint();
  const IceStunOutcome outcome = ice_.HandleStun(writer.message(), Address(1), At(5));
  EXPECT_TRUE(outcome.indication);
  EXPECT_FALSE(outcome.authenticated);
  EXPECT_TRUE(outcome.response.empty());
  EXPECT_EQ(ice_.counters().indications, 1u);
  EXPECT_EQ(ice_.next_deadline(), At(30)) << "an indication is not consent";
}

TEST_F(IceLiteTest, APeerThatClaimsToBeControlledGets487) {
  const IceStunOutcome outcome = Send({.controlled = true}, 1);
  EXPECT_EQ(ErrorOf(outcome), 487);
  EXPECT_FALSE(outcome.authenticated);
  EXPECT_FALSE(ice_.IsValidated(Address(1)));
  EXPECT_EQ(ice_.counters().role_conflicts, 1u);
  EXPECT_TRUE(VerifyStunIntegrity(*ParseStun(outcome.response), kLocal.pwd));
}

TEST_F(IceLiteTest, UnknownAttributesGet420AndAreListed) {
  const auto add = [](StunWriter& writer) { writer.Attribute(static_cast<StunAttribute>(0x7123), {}); };
  const IceStunOutcome outcome = Send({.change = add}, 1);
  EXPECT_EQ(ErrorOf(outcome), 420);
  const std::vector<uint8_t> wanted = {0x00, 0x0A, 0x00, 0x02, 0x71, 0x23};
  EXPECT_NE(std::search(outcome.response.begin(), outcome.response.end(), wanted.begin(), wanted.end()),
            outcome.response.end());
  EXPECT_FALSE(ice_.selected());
}

TEST_F(IceLiteTest, BadRequestsGet400) {
  EXPECT_EQ(ErrorOf(Send({.priority = false}, 1)), 400);
  EXPECT_EQ(ErrorOf(Send({.change = [](StunWriter& writer) { writer.IceControlled(5); }}, 1)), 400);
  EXPECT_EQ(ice_.counters().bad_requests, 2u);
}

TEST_F(IceLiteTest, NoResponseIsMuchLargerThanItsRequest) {
  const std::vector<uint8_t> request = Make({});
  EXPECT_LE(ice_.HandleStun(request, Address(1), At(0)).response.size(), request.size() + 20);
}

TEST_F(IceLiteTest, TheLastNominationWins) {
  Send({}, 1);
  EXPECT_FALSE(Send({}, 2).selected_changed) << "a valid check alone does not move media";
  EXPECT_TRUE(Send({.nominate = true}, 2).selected_changed);
  EXPECT_FALSE(Send({.nominate = true}, 2).selected_changed);
  EXPECT_FALSE(Send({}, 1).selected_changed);
  for (int i = 0; i < 10; ++i) {  // flapping
    EXPECT_TRUE(Send({.nominate = true}, 1).selected_changed);
    EXPECT_EQ(ice_.selected(), Address(1));
    EXPECT_TRUE(Send({.nominate = true}, 2).selected_changed);
    EXPECT_EQ(ice_.selected(), Address(2));
  }
  EXPECT_TRUE(ice_.IsValidated(Address(1)));
  EXPECT_EQ(ice_.counters().nominations, 22u);
}

TEST_F(IceLiteTest, NatRebindingMovesMediaWithTheNextNomination) {
  Send({.nominate = true}, 1, 0);
  const IceStunOutcome outcome = Send({.nominate = true}, 9, 5);
  EXPECT_TRUE(outcome.selected_changed);
  EXPECT_EQ(ice_.selected(), Address(9));
}

TEST_F(IceLiteTest, AnAddressWithoutConsentIsReplacedByOneWithConsent) {
  Send({.nominate = true}, 1, 0);
  EXPECT_FALSE(Send({}, 2, 29).selected_changed);
  EXPECT_TRUE(Send({}, 2, 31).selected_changed);
  EXPECT_EQ(ice_.selected(), Address(2));
}

TEST_F(IceLiteTest, ExpiresWithoutConsentOrWithoutAnyCheck) {
  EXPECT_FALSE(ice_.expired(At(29)));
  EXPECT_TRUE(ice_.expired(At(30)));
  Send({}, 1, 20);
  EXPECT_EQ(ice_.next_deadline(), At(50));
  Send({}, 1, 40);
  EXPECT_FALSE(ice_.expired(At(69)));
  EXPECT_TRUE(ice_.expired(At(70)));
}

TEST_F(IceLiteTest, TheAddressTableIsBoundedAndKeepsTheSelectedAddress) {
  Send({.nominate = true}, 1, 0);
  for (uint8_t from = 2; from <= 8; ++from) EXPECT_FALSE(Send({}, from, from).evicted);
  EXPECT_EQ(Send({}, 9, 10).evicted, Address(2));
  Send({}, 3, 11);
  EXPECT_EQ(Send({}, 10, 12).evicted, Address(4));
  EXPECT_EQ(ice_.validated().size(), 8u);
  EXPECT_EQ(ice_.selected(), Address(1));
  EXPECT_TRUE(ice_.IsValidated(Address(1)));
  EXPECT_FALSE(ice_.IsValidated(Address(2)));
  EXPECT_EQ(ice_.counters().evicted, 2u);
}

TEST_F(IceLiteTest, ANominationInAFullTableMayEvictTheFormerAddress) {
  Send({.nominate = true}, 1, 0);
  for (uint8_t from = 2; from <= 8; ++from) Send({}, from, from);
  const IceStunOutcome outcome = Send({.nominate = true}, 20, 20);
  EXPECT_EQ(outcome.evicted, Address(1)) << "least recently checked and no longer selected";
  EXPECT_EQ(ice_.selected(), Address(20));
  EXPECT_TRUE(ice_.IsValidated(Address(20)));
}

TEST_F(IceLiteTest, RestartKeepsMediaUntilANewNomination) {
  Send({.nominate = true}, 1, 0);
  ASSERT_TRUE(ice_.Restart(kLocal2, kRemote2, At(10)));
  EXPECT_EQ(ice_.local(), kLocal2);
  EXPECT_EQ(ice_.selected(), Address(1));
  EXPECT_TRUE(Send({.nominate = true}, 1, 11).authenticated) << "the old username is still valid";
  const Check fresh{.local = &kLocal2, .remote = &kRemote2};
  EXPECT_FALSE(Send(fresh, 2, 12).selected_changed);
  EXPECT_TRUE(ice_.restarting());
  Check nominating = fresh;
  nominating.nominate = true;
  EXPECT_TRUE(Send(nominating, 2, 13).selected_changed);
  EXPECT_FALSE(ice_.restarting());
  EXPECT_EQ(ice_.selected(), Address(2));
  const IceStunOutcome stale = Send({.nominate = true}, 1, 14);
  EXPECT_FALSE(stale.authenticated);
  EXPECT_TRUE(stale.response.empty());
  EXPECT_EQ(ice_.selected(), Address(2));
}

TEST_F(IceLiteTest, ResponsesUseThePasswordOfTheirGeneration) {
  Send({.nominate = true}, 1, 0);
  ASSERT_TRUE(ice_.Restart(kLocal2, kRemote2, At(10)));
  EXPECT_TRUE(VerifyStunIntegrity(*ParseStun(Send({}, 1, 11).response), kLocal.pwd));
  const IceStunOutcome outcome = Send({.local = &kLocal2, .remote = &kRemote2, .nominate = true}, 1, 12);
  EXPECT_TRUE(VerifyStunIntegrity(*ParseStun(outcome.response), kLocal2.pwd));
  EXPECT_FALSE(outcome.selected_changed) << "same address, new generation";
  EXPECT_FALSE(ice_.restarting());
}

TEST_F(IceLiteTest, RefusesARestartThatChangesNothing) {
  EXPECT_FALSE(ice_.Restart(kLocal, kRemote, At(1)));
  EXPECT_FALSE(ice_.Restart({kLocal2.ufrag, kLocal.pwd}, kRemote2, At(1)));
  EXPECT_FALSE(ice_.Restart({"abc", kLocal2.pwd}, kRemote2, At(1)));
  EXPECT_FALSE(ice_.Restart({kLocal2.ufrag, "short"}, kRemote2, At(1)));
  EXPECT_EQ(ice_.local(), kLocal);
}

TEST_F(IceLiteTest, RestartBeforeAnyCheckForgetsTheOldCredentials) {
  ASSERT_TRUE(ice_.Restart(kLocal2, kRemote2, At(10)));
  EXPECT_FALSE(Send({}, 1, 11).authenticated);
  EXPECT_EQ(ice_.next_deadline(), At(40));
}

TEST_F(IceLiteTest, ARemovedPathIsReplacedByTheOneCheckedLast) {
  const SocketAddress tcp = Address(1).OverTcp();
  ASSERT_NE(tcp, Address(1));
  ASSERT_TRUE(ice_.HandleStun(Make({.nominate = true}), tcp, At(1)).authenticated);
  Send({}, 2, 2);
  Send({}, 3, 3);
  EXPECT_EQ(ice_.selected(), tcp);
  ice_.Forget(Address(1), At(4));  // over UDP: never seen
  EXPECT_EQ(ice_.selected(), tcp);
  ice_.Forget(tcp, At(4));
  EXPECT_EQ(ice_.selected(), Address(3));
  EXPECT_FALSE(ice_.IsValidated(tcp));
  ice_.Forget(Address(3), At(5));
  ice_.Forget(Address(2), At(5));
  EXPECT_FALSE(ice_.selected()) << "no destination until the next check";
  EXPECT_FALSE(ice_.expired(At(20))) << "only lost consent ends it";
  Send({}, 4, 21);
  EXPECT_EQ(ice_.selected(), Address(4));
}

TEST_F(IceLiteTest, TrafficFromTheSelectedAddressIsConsent) {
  Send({.nominate = true}, 1, 0);
  Send({}, 2, 5);
  ice_.NoteTraffic(Address(1), At(34));
  EXPECT_FALSE(ice_.expired(At(63)));
  EXPECT_EQ(ice_.next_deadline(), At(64));
  EXPECT_EQ(ice_.consent_deadline(), At(64));
  ice_.NoteTraffic(Address(2), At(50));  // proved, but not selected
  ice_.NoteTraffic(Address(3), At(50));
  EXPECT_EQ(ice_.next_deadline(), At(64));
  EXPECT_TRUE(ice_.expired(At(64)));
}

TEST_F(IceLiteTest, AnAddressWithTrafficIsReplacedOnlyByANomination) {
  Send({.nominate = true}, 1, 0);
  ice_.NoteTraffic(Address(1), At(40));
  EXPECT_FALSE(Send({}, 2, 60).selected_changed) << "without recent checks, but with traffic";
  EXPECT_TRUE(Send({}, 2, 71).selected_changed);
  ice_.NoteTraffic(Address(2), At(72));
  EXPECT_TRUE(Send({.nominate = true}, 1, 73).selected_changed);
}

TEST_F(IceLiteTest, TrafficFromAnEarlierAddressDoesNotKeepTheSelectedOne) {
  Send({.nominate = true}, 1, 0);
  ice_.NoteTraffic(Address(1), At(1));
  Send({.nominate = true}, 2, 2);
  ice_.NoteTraffic(Address(1), At(30));
  EXPECT_TRUE(Send({}, 3, 33).selected_changed) << "the second address sent nothing for 31 seconds";
}

TEST_F(IceLiteTest, ARemovedPathStillCountsAsASignOfLife) {
  ASSERT_TRUE(ice_.HandleStun(Make({.nominate = true}), Address(1).OverTcp(), At(1)).authenticated);
  ice_.NoteTraffic(Address(1).OverTcp(), At(100));
  ice_.Forget(Address(1).OverTcp(), At(101));
  EXPECT_FALSE(ice_.expired(At(129))) << "the peer may return by another path";
  EXPECT_TRUE(ice_.expired(At(130)));
}

TEST(IceLiteStrict, TrafficIsASignOfLifeButNotConsent) {
  IceLite ice{kLocal, kRemote, {.strict_consent = true}, At(0)};
  const std::vector<uint8_t> check = Make({.nominate = true});
  ASSERT_TRUE(ice.HandleStun(check, Address(1), At(1)).authenticated);
  ice.NoteTraffic(Address(1), At(20));
  EXPECT_EQ(ice.consent_deadline(), At(31));
  EXPECT_EQ(ice.next_deadline(), At(50));
  ice.NoteTraffic(Address(1), At(31));
  EXPECT_TRUE(ice.HandleStun(Make({}), Address(2), At(32)).selected_changed);
}

}  // namespace
}  // namespace nexus
