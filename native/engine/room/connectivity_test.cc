// Paths that change during a call: NAT rebinding, flapping nominations, TCP connections that end (hard
// problem 14).
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A publisher of video and a subscriber.
class Connectivity : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(call_.RunUntilConnected());
    call_.RunFor(seconds(2));
    ASSERT_FALSE(video().packets.empty());
  }
  ReceivedStream& video() { return pair_.video(); }
  const std::optional<SocketAddress>& selected(const Member& member) {
    return call_.shard().FindTransport(member.transport)->ice().selected();
  }
  bool Follows(const Member& member, const SocketAddress& address) {
    return call_.RunUntil(seconds(20), [&] { return selected(member) == address; });
  }
  void ExpectThatVideoContinues() {
    const size_t before = video().packets.size();
    call_.RunFor(seconds(2));
    EXPECT_GE(video().packets.size(), before + 100);
  }
  void ExpectThatNoTransportFailed() {
    for (const TransportChanged& change : call_.EventsOf<TransportChanged>()) {
      EXPECT_NE(change.state, TransportState::kFailed) << change.reason;
    }
  }
  void ExpectThatEverythingIsFreed() {
    call_.shard().CloseAll(call_.now());
    Shard::Counts nothing;
    EXPECT_EQ(call_.shard().counts(), nothing);
  }

  TestCall call_{EmulatedOptions(11)};
  OneToOne<TestPeer> pair_{call_, {MediaKind::kVideo}};
  Member& publisher_ = pair_.publisher;
  Member& subscriber_ = pair_.subscriber;
};

TEST_F(Connectivity, ANatThatRebindsTheSubscriberIsFollowed) {
  const SocketAddress moved = call_.NewAddress();
  call_.MoveTo(subscriber_, moved);
  ASSERT_TRUE(Follows(subscriber_, moved)) << "the next consent check validates the new address (RFC 7675)";
  ExpectThatVideoContinues();
  ExpectThatNoTransportFailed();
  // Only the two validated addresses are known; the old one is removed with the transport.
  EXPECT_LE(call_.shard().counts().addresses, 3u);
  ExpectThatEverythingIsFreed();
}

TEST_F(Connectivity, ANatThatRebindsThePublisherIsFollowed) {
  const SocketAddress moved = call_.NewAddress();
  call_.MoveTo(publisher_, moved);
  ASSERT_TRUE(Follows(publisher_, moved));
  ExpectThatVideoContinues();
  ExpectThatNoTransportFailed();
  ExpectThatEverythingIsFreed();
}

TEST_F(Connectivity, MediaFromAnUnvalidatedAddressIsDropped) {
  const uint64_t before = call_.shard().drops()[DropReason::kUnknownAddress];
  call_.MoveTo(publisher_, call_.NewAddress());
  call_.RunFor(milliseconds(400));
  EXPECT_GT(call_.shard().drops()[DropReason::kUnknownAddress], before);
}

TEST_F(Connectivity, FlappingBetweenTwoPathsLosesNothing) {
  const SocketAddress home = subscriber_.peer->address();
  const SocketAddress away = call_.NewAddress();
  for (int turn = 0; turn < 40; ++turn) {
    const SocketAddress& to = turn % 2 == 0 ? away : home;
    call_.MoveTo(subscriber_, to);
    ASSERT_TRUE(Follows(subscriber_, to)) << "turn " << turn;
  }
  call_.RunFor(seconds(1));
  EXPECT_EQ(video().Faults(call_.csrcs()), "");
  EXPECT_TRUE(video().Missing().empty());
  ExpectThatNoTransportFailed();
  ExpectThatEverythingIsFreed();
}

TEST_F(Connectivity, WhenATcpConnectionEndsTheOtherPathIsSelected) {
  const SocketAddress udp = subscriber_.peer->address();
  const SocketAddress tcp = call_.NewAddress().OverTcp();
  call_.MoveTo(subscriber_, tcp);
  ASSERT_TRUE(Follows(subscriber_, tcp));
  call_.MoveTo(subscriber_, udp);
  call_.shard().HandleConnectionLost(tcp, call_.now());
  EXPECT_FALSE(call_.shard().Knows(tcp));
  EXPECT_EQ(selected(subscriber_), udp) << "it was validated before";
  ExpectThatVideoContinues();
  call_.shard().HandleConnectionLost(udp, call_.now());
  EXPECT_FALSE(selected(subscriber_));
  ASSERT_TRUE(Follows(subscriber_, udp)) << "the next check validates it again";
  ExpectThatVideoContinues();
  ExpectThatNoTransportFailed();
  ExpectThatEverythingIsFreed();
}

}  // namespace
}  // namespace nexus::testing
