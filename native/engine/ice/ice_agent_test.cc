// The full agent against the lite side and against another full agent, over a network with loss.
#include "engine/ice/ice_agent.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "engine/ice/ice_lite.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const IceCredentials kServer{"srvU", "server-password-of-22-chars"};
const IceCredentials kClient{"cliU", "client-password-of-22-chars"};
const SocketAddress kServerAddress = SocketAddress::V4({192, 0, 2, 1}, 5000);
const SocketAddress kClientAddress = SocketAddress::V4({198, 51, 100, 4}, 6000);
constexpr Timestamp kStart = TimestampFromMicros(1'000'000);

SocketAddress Dead(uint8_t n) { return SocketAddress::V4({203, 0, 113, n}, 9); }

// The agent, a lite peer and 20 ms between them.
struct LitePeer {
  explicit LitePeer(IceAgentConfig config = {}, uint64_t seed = 1)
      : lite(kServer, kClient, {}, kStart), agent(kClient, config, seed) {}

  void RunUntil(Timestamp end) {
    Pump();
    while (true) {
      Timestamp next = agent.next_deadline();
      if (!wire.empty()) next = std::min(next, wire.begin()->first);
      if (next > end) break;
      now = std::max(next, now + Duration(1));
      while (!wire.empty() && wire.begin()->first <= now) {
        const IceTransmit message = wire.begin()->second;
        wire.erase(wire.begin());
        if (message.to == kClientAddress) {
          agent.HandleStun(message.bytes, kServerAddress, now);
        } else if (message.to == kServerAddress && !down) {
          const IceStunOutcome outcome = lite.HandleStun(message.bytes, kClientAddress, now);
          if (!outcome.response.empty())
            wire.emplace(now + milliseconds(20), IceTransmit{kClientAddress, outcome.response});
        }
      }
      agent.HandleTimeout(now);
      Pump();
    }
    now = end;
  }
  void Pump() {
    while (auto message = agent.PollTransmit(now)) {
      sent.emplace_back(now, message->to);
      if (loses && loses(sent.size() - 1)) continue;
      wire.emplace(now + milliseconds(20), std::move(*message));
    }
  }
  IceLite lite;
  IceAgent agent;
  Timestamp now = kStart;
  bool down = false;
  std::function<bool(size_t)> loses;
  std::multimap<Timestamp, IceTransmit> wire;
  std::vector<std::pair<Timestamp, SocketAddress>> sent;
};

TEST(IceAgent, ChecksThenNominatesTowardsALitePeer) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  peer.agent.AddRemoteCandidate({kServerAddress, 100}, kStart);
  peer.RunUntil(kStart + milliseconds(200));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kConnected);
  EXPECT_TRUE(peer.agent.nominated());
  EXPECT_EQ(peer.agent.mapped_address(), kClientAddress);
  EXPECT_EQ(peer.agent.rtt(), milliseconds(40));
  EXPECT_EQ(peer.lite.selected(), kClientAddress);
  EXPECT_EQ(peer.sent.size(), 2u);  // regular nomination: one check to test, one to nominate
}

TEST(IceAgent, AcceptsALateCandidate) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  peer.RunUntil(kStart + seconds(2));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kChecking);
  peer.agent.AddRemoteCandidate({kServerAddress, 100}, peer.now);
  peer.RunUntil(peer.now + milliseconds(200));
  EXPECT_TRUE(peer.agent.nominated());
}

// RFC 8445 section 6.1.4.2: one new check per Ta; retransmissions at doubling intervals (RFC 8489 section
// 6.2.1).
TEST(IceAgent, PacesItsChecksAndAbandonsDeadPairs) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  for (uint8_t i = 0; i < 10; ++i) peer.agent.AddRemoteCandidate({Dead(i), 1000u - i}, kStart);
  peer.RunUntil(kStart + seconds(29));
  std::map<std::string, std::vector<Timestamp>> by_address;
  for (const auto& [at, to] : peer.sent) by_address[to.ToString()].push_back(at);
  ASSERT_EQ(by_address.size(), 10u);
  std::set<Timestamp> firsts;
  for (const auto& [address, times] : by_address) {
    EXPECT_EQ(times.size(), 7u) << address;
    firsts.insert(times.front());
  }
  ASSERT_EQ(firsts.size(), 10u);
  EXPECT_GE(*firsts.rbegin() - *firsts.begin(), milliseconds(450));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kChecking);
  peer.RunUntil(kStart + seconds(31));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kFailed);
  EXPECT_EQ(peer.agent.next_deadline(), kNever);
}

TEST(IceAgent, ConnectsThroughLoss) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    LitePeer peer({}, seed);
    std::mt19937_64 random(seed);
    peer.loses = [&](size_t) { return random() % 3 == 0; };
    peer.agent.Start(kServer, kStart);
    peer.agent.AddRemoteCandidate({Dead(1), 1000}, kStart);
    peer.agent.AddRemoteCandidate({kServerAddress, 100}, kStart);
    peer.RunUntil(kStart + seconds(15));
    EXPECT_TRUE(peer.agent.nominated());
    EXPECT_EQ(peer.agent.selected(), kServerAddress);
  }
}

TEST(IceAgent, SendsConsentChecksAndDetectsLostConsent) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  peer.agent.AddRemoteCandidate({kServerAddress, 100}, kStart);
  peer.RunUntil(kStart + seconds(300));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kConnected);
  ASSERT_GT(peer.sent.size(), 50u);
  for (size_t i = 3; i < peer.sent.size(); ++i) {
    const Duration gap = peer.sent[i].first - peer.sent[i - 1].first;
    EXPECT_GE(gap, seconds(4));
    EXPECT_LE(gap, seconds(6));
  }
  peer.down = true;
  peer.RunUntil(peer.now + seconds(24));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kConnected);
  peer.RunUntil(peer.now + seconds(7));
  EXPECT_EQ(peer.agent.state(), IceAgentState::kFailed);
}

TEST(IceAgent, RestartKeepsThePathUntilTheNewOneIsNominated) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  peer.agent.AddRemoteCandidate({kServerAddress, 100}, kStart);
  peer.RunUntil(kStart + seconds(1));
  const IceCredentials local{"cliV", "another-password-of-22-chars"};
  const IceCredentials server{"srvV", "another-password-of-22-char2"};
  EXPECT_FALSE(peer.agent.Restart(kClient, server, peer.now)) << "the same credentials again";
  ASSERT_TRUE(peer.lite.Restart(server, local, peer.now));
  ASSERT_TRUE(peer.agent.Restart(local, server, peer.now));
  EXPECT_EQ(peer.agent.selected(), kServerAddress);
  EXPECT_FALSE(peer.agent.nominated());
  peer.RunUntil(peer.now + seconds(1));
  EXPECT_TRUE(peer.agent.nominated());
  EXPECT_FALSE(peer.lite.restarting());
}

TEST(IceAgent, BoundsTheNumberOfPairs) {
  IceAgentConfig config;
  config.max_pairs = 4;
  LitePeer peer(config);
  peer.agent.Start(kServer, kStart);
  for (uint8_t i = 0; i < 10; ++i) peer.agent.AddRemoteCandidate({Dead(i), 1000u + i}, kStart);
  peer.agent.AddRemoteCandidate({Dead(0), 5}, kStart);  // known already
  EXPECT_EQ(peer.agent.pair_count(), 4u);
  EXPECT_EQ(peer.agent.counters().dropped_pairs_full, 6u);
}

TEST(IceAgent, IgnoresResponsesThatItDidNotRequest) {
  LitePeer peer;
  peer.agent.Start(kServer, kStart);
  peer.agent.AddRemoteCandidate({kServerAddress, 100}, kStart);
  const auto check = peer.agent.PollTransmit(kStart);
  ASSERT_TRUE(check);
  auto answer = peer.lite.HandleStun(check->bytes, kClientAddress, kStart).response;
  // The right response from the wrong address (RFC 8445 section 7.2.5.2.1), and one with a broken integrity.
  auto broken = answer;
  broken[broken.size() - 20] ^= 1;
  peer.agent.HandleStun(broken, kServerAddress, kStart);
  EXPECT_EQ(peer.agent.state(), IceAgentState::kChecking);
  peer.agent.HandleStun(answer, Dead(3), kStart);
  EXPECT_EQ(peer.agent.state(), IceAgentState::kChecking);
}

// Two full agents that both claim to be controlling, or both controlled.
class RoleConflict : public ::testing::TestWithParam<std::tuple<bool, uint64_t>> {};

TEST_P(RoleConflict, OneAgentSwitchesItsRole) {
  const auto [controlling, seed] = GetParam();
  IceAgentConfig config;
  config.controlling = controlling;
  IceAgent one(kClient, config, seed);
  IceAgent two(kServer, config, seed + 1'000);
  one.Start(kServer, kStart);
  two.Start(kClient, kStart);
  one.AddRemoteCandidate({kServerAddress, 100}, kStart);
  // `two` has no candidates: it learns the address from the check (section 7.3.1.3).
  struct Travelling {
    bool to_one;
    std::vector<uint8_t> bytes;
  };
  std::multimap<Timestamp, Travelling> wire;
  Timestamp now = kStart;
  const auto pump = [&] {
    while (auto message = one.PollTransmit(now))
      wire.emplace(now + milliseconds(20), Travelling{false, message->bytes});
    while (auto message = two.PollTransmit(now))
      wire.emplace(now + milliseconds(20), Travelling{true, message->bytes});
  };
  pump();
  while (now < kStart + seconds(5)) {
    Timestamp next = std::min(one.next_deadline(), two.next_deadline());
    if (!wire.empty()) next = std::min(next, wire.begin()->first);
    now = std::max(next, now + Duration(1));
    while (!wire.empty() && wire.begin()->first <= now) {
      const Travelling message = wire.begin()->second;
      wire.erase(wire.begin());
      if (message.to_one) {
        one.HandleStun(message.bytes, kServerAddress, now);
      } else {
        two.HandleStun(message.bytes, kClientAddress, now);
      }
    }
    one.HandleTimeout(now);
    two.HandleTimeout(now);
    pump();
  }
  EXPECT_NE(one.controlling(), two.controlling());
  EXPECT_TRUE(one.nominated());
  EXPECT_TRUE(two.nominated());
  EXPECT_EQ(one.selected(), kServerAddress);
  EXPECT_EQ(two.selected(), kClientAddress);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoleConflict,
                         ::testing::Combine(::testing::Bool(), ::testing::Range(uint64_t{1}, uint64_t{9})));

}  // namespace
}  // namespace nexus
