// Clients that join and leave at any moment, and floods of garbage: a shard's memory returns to its first
// size (hard problem 16), nothing is used after it was closed (hard problem 23, under the sanitizers), and
// garbage costs neither state nor answers (hard problem 13).
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>

#include "engine/stun/stun_writer.h"
#include "testing/client_call.h"
#include "testing/emulated_options.h"
#include "testing/one_to_one.h"
#include "testing/random.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

#if defined(__SANITIZE_ADDRESS__)
constexpr int kConnections = 1'500;
constexpr bool kCountsAllocations = false;
#else
constexpr int kConnections = 10'000;
constexpr bool kCountsAllocations = true;
#endif

size_t AllocatedBytes() { return mallinfo2().uordblks; }

// A connection with a track and a slot, cut off after a random time: before the first answer, within the
// handshake or in the middle of media. A half is closed by the control side, a quarter by the client, and a
// quarter vanishes, so that only the shard's timers find it.
bool ConnectAndAbort(ClientCall& call, Random& random, TrackId& previous) {
  ClientMember& member = call.Join();
  call.Publish(member, MediaKind::kVideo);
  const SlotId slot = call.AddSlot(member, MediaKind::kVideo).id;
  call.Command(
      BindSlot{slot, std::exchange(previous, member.video_track)});  // refused when that track is gone
  call.RunFor(Duration(random.Between(0, 12'000)));
  if (member.peer->connected()) member.peer->SendVideoFrame(*member.video, call.now());
  const bool connected = member.peer->connected();
  const uint64_t end = random.Below(4);
  if (end < 2) call.Command(CloseTransport{member.transport});
  if (end == 2) {
    member.peer->Close();
    call.RunFor(milliseconds(2));
  }
  member.peer->Vanish();
  return connected;
}

TEST(Churn, TenThousandConnectionsAndAbortsLeaveNothingBehind) {
  ClientCall call(EmulatedOptions());
  call.network().conditions.delay = milliseconds(1);
  const Shard::Counts empty = call.shard().counts();
  Random random(1);
  uint64_t connected = 0;
  size_t allocated_after_warm_up = 0;
  TrackId previous;
  const int rounds = kConnections / 50;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 50; ++i) connected += ConnectAndAbort(call, random, previous) ? 1 : 0;
    // Consent and the connect timeout find those that have vanished.
    call.RunFor(seconds(40));
    call.ForgetMembers();
    call.events.clear();
    ASSERT_EQ(call.shard().counts(), empty) << "after round " << round;
    if (round == rounds / 10) allocated_after_warm_up = AllocatedBytes();
  }
  EXPECT_GT(connected, static_cast<uint64_t>(kConnections) / 10);
  if (!kCountsAllocations) return;
  // The heap of the whole program may grow by one resizing of a table after the first tenth.
  EXPECT_LT(AllocatedBytes(), allocated_after_warm_up + (256u << 10));
}

class RandomCloses : public ::testing::TestWithParam<uint64_t> {
 protected:
  RandomCloses() : call_(EmulatedOptions(GetParam())), random_(GetParam()) {
    call_.network().conditions = {
        .loss = 0.02, .duplication = 0.02, .delay = milliseconds(5), .jitter = milliseconds(10)};
  }
  ClientMember& Any() { return *call_.members[random_.Below(call_.members.size())]; }
  SlotId AnySlot() {
    const ClientMember& member = Any();
    return member.slots[random_.Below(member.slots.size())].id;
  }
  void Join() {
    ClientMember& member = call_.Join();
    call_.Publish(member, MediaKind::kVideo);
    call_.Publish(member, MediaKind::kAudio);
    for (int pair = 0; pair < 3; ++pair) {
      call_.AddSlot(member, MediaKind::kAudio, pair);
      const SlotId video = call_.AddSlot(member, MediaKind::kVideo, pair).id;
      if (call_.members.size() > 1) call_.Command(BindSlot{video, Any().video_track});
    }
    call_.StartMedia(member);
  }
  void DoAnything() {
    ClientMember& one = Any();
    const ClientMember& other = Any();
    switch (random_.Below(16)) {
      case 0:
        return call_.Command(CloseTransport{one.transport});
      case 1:
        return one.peer->Close();
      case 2:
        return one.peer->Vanish();
      case 3:
        return call_.Command(RemoveTrack{random_.Percent(50) ? one.video_track : one.audio_track});
      case 4:
      case 5:
        if (call_.members.size() < 30) Join();
        return;
      case 6:
        return call_.Command(RemoveSlot{AnySlot()});
      case 7:
      case 8:
        return call_.Command(BindSlot{AnySlot(), other.video_track});
      case 9:
        return call_.Command(BindSlot{one.slots[1].id, one.video_track});  // its own
      case 10:
        return call_.Command(UnbindSlot{AnySlot()});
      case 11:
        return call_.Command(
            MuteTrack{random_.Percent(50) ? one.video_track : one.audio_track, random_.Percent(50)});
      case 12:
        return call_.Command(SetSubscribed{one.transport, other.audio_track, random_.Percent(50)});
      case 13:
        return call_.Command(RequestKeyframe{one.video_track});
      case 14:
        return call_.Command(RequestStats{1, std::nullopt});
      default:
        if (!random_.Percent(5)) return;
        call_.Command(CloseRoom{call_.room()});
        call_.Command(CreateRoom{call_.room()});
    }
  }

  ClientCall call_;
  Random random_;
};

TEST_P(RandomCloses, NothingIsUsedAfterItWasClosedAndNothingIsLeft) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  for (int i = 0; i < 4; ++i) Join();
  ASSERT_TRUE(call_.RunUntilConnected());
  for (int step = 0; step < 200; ++step) {
    call_.RunFor(Duration(random_.Between(1, 80'000)));
    DoAnything();
  }
  call_.Command(CloseRoom{call_.room()});
  EXPECT_EQ(call_.shard().counts(), Shard::Counts{});
  call_.RunFor(seconds(40));
  EXPECT_EQ(call_.shard().counts(), Shard::Counts{});
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCloses, ::testing::Range(uint64_t{1}, uint64_t{25}));

// Datagrams of all kinds from strangers and from the forged address of a participant.
class Flood {
 public:
  Flood(const SocketAddress& forged, std::string username)
      : forged_(forged), username_(std::move(username)), client_hello_{22, 254, 253, 0, 0, 0, 0,
                                                                       0,  0,   0,   0, 0, 60} {
    client_hello_.resize(73, 1);
  }
  SocketAddress Source() {
    if (random_.Percent(20)) return forged_;
    return SocketAddress::V4(
        {172, 16, static_cast<uint8_t>(random_.Next()), static_cast<uint8_t>(random_.Next())},
        static_cast<uint16_t>(random_.Next()));
  }
  std::vector<uint8_t> Next(const SocketAddress& from) {
    std::vector<uint8_t> bytes(random_.Between(0, 1'200));
    for (size_t i = 0; i < std::min<size_t>(bytes.size(), 64); ++i)
      bytes[i] = static_cast<uint8_t>(random_.Next());
    switch (random_.Below(6)) {
      case 0:
        return from == forged_ ? bytes : client_hello_;
      case 1:
        if (bytes.size() > 2) bytes[0] = 0x80, bytes[1] = 96;
        return bytes;
      case 2:
        if (bytes.size() > 2) bytes[0] = 0x81, bytes[1] = 200;
        return bytes;
      case 3:
        return Check(username_);
      case 4:
        return Check("nosuchfragment:" + username_);
      default:
        return bytes;
    }
  }

 private:
  // With a guessed password.
  static std::vector<uint8_t> Check(const std::string& username) {
    StunWriter check(StunClass::kRequest, kStunBinding, StunTransactionId{});
    check.Username(username);
    check.IceControlling(1);
    check.UseCandidate();
    check.Priority(1);
    check.MessageIntegrity("guessedpasswordguessedpass");
    check.Fingerprint();
    return check.ToVector();
  }

  Random random_{3};
  SocketAddress forged_;
  std::string username_;
  std::vector<uint8_t> client_hello_;
};

// 200,000 datagrams a second in emulated time.
TEST(Flood, GarbageBesideACallCostsNoStateAndNoAnswer) {
  ClientCall call(EmulatedOptions(7));
  OneToOne pair(call, {MediaKind::kVideo});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(milliseconds(500));
  const Shard::Counts before = call.shard().counts();
  Flood flood(pair.publisher.peer->address(), EmulatedRoom::ServerIce(pair.publisher.transport).ufrag + ":" +
                                                  pair.publisher.peer->Settings().remote.ufrag);
  uint64_t sent = 0;
  uint64_t answers = 0;
  call.Every(milliseconds(1), [&] {
    const uint64_t so_far = call.shard().transmit().packet_count();
    for (int i = 0; i < 200; ++i, ++sent) {
      const SocketAddress from = flood.Source();
      std::vector<uint8_t> bytes = flood.Next(from);
      call.shard().HandleDatagram(bytes, from, call.now());
    }
    answers += call.shard().transmit().packet_count() - so_far;
  });
  call.RunFor(seconds(2));
  EXPECT_GE(sent, 390'000u);
  EXPECT_EQ(answers, 0u) << "garbage was answered";
  EXPECT_EQ(call.shard().counts(), before);
  EXPECT_TRUE(pair.publisher.peer->connected());
  const TakenMedia& taken = pair.subscriber.peer->Taken(pair.video());
  EXPECT_TRUE(taken.Missing().empty());
  EXPECT_GE(taken.sequences.size(), 3u * 55u);
  EXPECT_EQ(taken.wrong_payload, 0u);
  // Each was dropped for a reason that has a name.
  const DropCounters& drops = call.shard().drops();
  uint64_t dropped = 0;
  for (const uint64_t count : drops.all()) dropped += count;
  EXPECT_GE(dropped, sent * 95 / 100);
  for (const DropReason reason :
       {DropReason::kUnknownAddress, DropReason::kUnknownUfrag, DropReason::kStunRejected,
        DropReason::kSrtpRejected, DropReason::kUnknownProtocol}) {
    EXPECT_GT(drops[reason], sent / 100) << static_cast<int>(reason);
  }
}

}  // namespace
}  // namespace nexus::testing
