// The controlling agent against the lite one, over a network with loss.
#include "engine/ice/ice_controlling.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/ice/ice_lite.h"

namespace nexus {
namespace {

using std::chrono::seconds;

const IceCredentials kServer{"srvU", "server-password-of-22-chars"};
const IceCredentials kClient{"cliU", "client-password-of-22-chars"};
const SocketAddress kFrom = SocketAddress::V4({198, 51, 100, 4}, 5000);
constexpr Timestamp kStart = TimestampFromMicros(1'000'000);

struct Pair {
  explicit Pair(IceControllingConfig config = {}, uint64_t seed = 1)
      : lite(kServer, kClient, {}, kStart), client(kClient, kServer, config, seed, kStart) {}

  // Follows the client's deadlines; `loses` decides whether the n-th check is lost.
  template <class Loses>
  void RunUntil(Timestamp end, Loses loses) {
    while (client.next_deadline() <= end && !client.expired(now)) {
      now = std::max(now, client.next_deadline());
      const auto check = client.PollTransmit(now);
      if (!check) return;
      checks.push_back(now);
      if (loses(checks.size() - 1)) continue;
      const IceStunOutcome outcome = lite.HandleStun(*check, kFrom, now);
      client.HandleStun(outcome.response, now);
    }
  }
  IceLite lite;
  IceControlling client;
  Timestamp now = kStart;
  std::vector<Timestamp> checks;
};

TEST(IceControlling, ConnectsAndNominates) {
  Pair pair;
  pair.RunUntil(kStart, [](size_t) { return false; });
  EXPECT_TRUE(pair.client.connected());
  EXPECT_EQ(pair.client.mapped_address(), kFrom);
  EXPECT_EQ(pair.lite.selected(), kFrom);
}

TEST(IceControlling, SendsConsentChecksAboutEveryFiveSeconds) {
  Pair pair;
  pair.RunUntil(kStart + seconds(300), [](size_t) { return false; });
  ASSERT_GT(pair.checks.size(), 50u);
  std::set<int64_t> gaps;
  for (size_t i = 1; i < pair.checks.size(); ++i) {
    const Duration gap = pair.checks[i] - pair.checks[i - 1];
    EXPECT_GE(gap, seconds(4));
    EXPECT_LE(gap, seconds(6));
    gaps.insert(gap.count());
  }
  EXPECT_GT(gaps.size(), 40u) << "randomised";
  EXPECT_FALSE(pair.lite.expired(kStart + seconds(300)));
}

TEST(IceControlling, IsDeterministicBySeed) {
  Pair first({}, 5);
  Pair second({}, 5);
  Pair third({}, 6);
  EXPECT_EQ(first.client.PollTransmit(kStart), second.client.PollTransmit(kStart));
  EXPECT_NE(first.client.PollTransmit(kStart + seconds(1)), third.client.PollTransmit(kStart + seconds(1)));
}

TEST(IceControlling, RepeatsLostChecks) {
  Pair pair;
  pair.RunUntil(kStart + seconds(2), [](size_t check) { return check < 3; });
  EXPECT_TRUE(pair.client.connected());
  EXPECT_EQ(pair.checks.size(), 4u);
}

TEST(IceControlling, GivesUpAfterThirtySecondsOfSilence) {
  Pair pair;
  pair.RunUntil(kStart + seconds(10), [](size_t) { return false; });
  EXPECT_TRUE(pair.client.connected());
  pair.RunUntil(kStart + seconds(200), [](size_t) { return true; });
  EXPECT_TRUE(pair.client.expired(kStart + seconds(45)));
  EXPECT_TRUE(pair.lite.expired(kStart + seconds(45)));
  EXPECT_FALSE(pair.client.PollTransmit(kStart + seconds(45)));
}

TEST(IceControlling, SwitchesItsRoleAfterARoleConflict) {
  Pair pair({.claim_controlled = true});
  pair.RunUntil(kStart, [](size_t) { return false; });
  EXPECT_TRUE(pair.client.connected());
  EXPECT_TRUE(pair.client.controlling());
  EXPECT_EQ(pair.lite.counters().role_conflicts, 1u);
  EXPECT_EQ(pair.lite.counters().checks, 1u);
}

TEST(IceControlling, IgnoresForgedResponses) {
  Pair pair;
  const auto check = pair.client.PollTransmit(kStart);
  ASSERT_TRUE(check);
  std::vector<uint8_t> answer = pair.lite.HandleStun(*check, kFrom, kStart).response;
  std::vector<uint8_t> forged = answer;
  forged[25] ^= 1;  // inside XOR-MAPPED-ADDRESS
  EXPECT_FALSE(pair.client.HandleStun(forged, kStart));
  forged = answer;
  forged[10] ^= 1;  // another transaction
  EXPECT_FALSE(pair.client.HandleStun(forged, kStart));
  EXPECT_FALSE(pair.client.connected());
  EXPECT_TRUE(pair.client.HandleStun(answer, kStart));
  EXPECT_FALSE(pair.client.HandleStun(answer, kStart)) << "once is enough";
}

}  // namespace
}  // namespace nexus
