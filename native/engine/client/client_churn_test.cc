// Many clients that come and go, whole or half-way: what a shard holds returns to what it was (hard problem
// 16), nothing is used after it was closed (hard problem 23, with the sanitizers), and a flood of garbage
// reaches nothing that costs (hard problem 13).
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <deque>

#include "engine/client/client_call_test.h"
#include "engine/stun/stun_writer.h"
#include "testing/random.h"

namespace nexus::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kConnections = 1'500;
constexpr bool kCountsAllocations = false;
#else
constexpr int kConnections = 10'000;
constexpr bool kCountsAllocations = true;
#endif

size_t AllocatedBytes() { return mallinfo2().uordblks; }

// A client on a wire without delay: what it sends is answered at once.
struct Attempt {
  Attempt(Shard& shard, RoomId room, uint32_t id, const SocketAddress& from, Timestamp now)
      : shard(shard), transport{id}, from(from) {
    ClientConfig config;
    config.transport.ice = {"client" + std::to_string(id), "clientpasswordclientpass" + std::to_string(id)};
    config.transport.certificate = ClientCall::Certificate();
    config.transport.seed = id;
    config.codecs = TestCodecs();
    config.extensions = TestExtensions();
    TransportSettings settings;
    settings.remote = config.transport.ice;
    settings.fingerprints = {ClientCall::Fingerprint()};
    settings.codecs = config.codecs;
    settings.extensions = config.extensions;
    const IceCredentials ice{"server" + std::to_string(id), "serverpasswordserverpass" + std::to_string(id)};
    shard.HandleCommand(CreateTransport{transport, room, ice, settings}, now);
    client = std::make_unique<Client>(std::move(config), out);
    client->Connect({ice, {ClientCall::Fingerprint()}, {{kServer, 1}}}, now);
  }
  // Up to `steps` datagrams are carried in either direction; false: nothing was left to carry.
  bool Carry(int steps, Timestamp now) {
    for (int i = 0; i < steps; ++i) {
      if (pending.empty()) {
        Gather(out, true);
        Gather(shard.transmit(), false);
        if (pending.empty()) return false;
      }
      auto [to_shard, bytes] = std::move(pending.front());
      pending.pop_front();
      if (to_shard) {
        shard.HandleDatagram(bytes, from, now);
      } else {
        client->HandleDatagram(bytes, kServer, now, now);
      }
    }
    return true;
  }
  void Gather(RunBuilder& batch, bool to_shard) {
    for (const TransmitRun& run : batch.runs()) {
      if (!to_shard && run.destination != from) continue;
      for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
        pending.emplace_back(to_shard, std::vector<uint8_t>(batch.packet(i).bytes,
                                                            batch.packet(i).bytes + batch.packet(i).size));
      }
    }
    batch.Clear();
  }
  static inline const SocketAddress kServer = SocketAddress::V4({192, 0, 2, 1}, 5000);
  Shard& shard;
  TransportId transport;
  SocketAddress from;
  RunBuilder out;
  std::unique_ptr<Client> client;
  std::deque<std::pair<bool, std::vector<uint8_t>>> pending;
};

ShardConfig ChurnConfig() {
  ShardConfig config;
  config.certificate = ClientCall::Certificate();
  return config;
}

void DropEvents(Shard& shard) {
  while (shard.PollEvent()) {
  }
}

// Hard problem 16: each is aborted after a random number of datagrams, from none to a call with media; half
// are closed by the control side, half vanish and are found by their timers.
TEST(Churn, TenThousandConnectionsAndAbortsLeaveNothingBehind) {
  Timestamp now = TimestampFromMicros(1'000'000'000);
  SetEmulatedWallClock(now);
  Shard shard(ChurnConfig());
  shard.HandleCommand(CreateRoom{RoomId{1}}, now);
  const Shard::Counts empty = shard.counts();
  Random random(1);
  uint64_t connected = 0;
  size_t allocated_after_warm_up = 0;
  uint32_t next_id = 0;
  const int rounds = kConnections / 50;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 50; ++i) {
      const uint32_t id = ++next_id;
      const SocketAddress from = SocketAddress::V4(
          {10, static_cast<uint8_t>(id >> 16), static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)},
          4'000);
      Attempt attempt(shard, RoomId{1}, id, from, now);
      TrackSettings track;
      track.kind = MediaKind::kVideo;
      track.number = id;
      track.mid = "0";
      track.ssrcs = {Ssrc{id * 4}};
      track.rtx_ssrcs = {Ssrc{id * 4 + 1}};
      shard.HandleCommand(AddTrack{TrackId{id}, attempt.transport, track}, now);
      SlotSettings slot;
      slot.kind = MediaKind::kVideo;
      slot.ssrc = Ssrc{id * 4 + 2};
      slot.rtx_ssrc = Ssrc{id * 4 + 3};
      shard.HandleCommand(AddSlot{SlotId{id}, attempt.transport, slot}, now);
      if (id > 1) shard.HandleCommand(BindSlot{SlotId{id}, TrackId{id - 1}}, now);  // it may be gone: refused
      attempt.Carry(static_cast<int>(random.Below(16)), now);
      connected += attempt.client->state() == ClientState::kConnected ? 1 : 0;
      const uint64_t end = random.Below(4);
      if (end < 2) shard.HandleCommand(CloseTransport{attempt.transport}, now);
      if (end == 2) {
        attempt.client->Close();
        attempt.Carry(16, now);
      }
      DropEvents(shard);
    }
    // Whoever vanished is found by consent or by the connect timeout.
    for (int step = 0; step < 40; ++step) {
      now += seconds(1);
      SetEmulatedWallClock(now);
      shard.HandleTimeout(now);
      shard.transmit().Clear();
    }
    DropEvents(shard);
    ASSERT_EQ(shard.counts(), empty) << "after " << next_id << " connections";
    if (round == rounds / 10) allocated_after_warm_up = AllocatedBytes();
  }
  EXPECT_GT(connected, static_cast<uint64_t>(kConnections) / 10);
  if (!kCountsAllocations) return;
  // The heap of the whole program: what the first tenth left is what there is at the end, up to a table's
  // growth.
  EXPECT_LT(AllocatedBytes(), allocated_after_warm_up + (256u << 10));
}

// Hard problem 23: a call in which anything is closed at any time, in the middle of media. The sanitizers
// judge.
class RandomCloses : public ::testing::TestWithParam<uint64_t> {};

TEST_P(RandomCloses, NothingIsUsedAfterItWasClosed) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  ClientCall call(GetParam());
  call.network.conditions = {
      .loss = 0.02, .duplication = 0.02, .delay = milliseconds(5), .jitter = milliseconds(10)};
  Random random(GetParam());
  struct Person {
    ClientMember* member;
    SendStream* video;
    SendStream* audio;
    TrackId track;
  };
  std::vector<Person> people;
  const auto join = [&] {
    Person person{};
    person.member = &call.Join();
    person.video = &call.Publish(*person.member, MediaKind::kVideo, &person.track);
    person.audio = &call.Publish(*person.member, MediaKind::kAudio);
    for (int i = 0; i < 3; ++i) {
      std::optional<TrackId> shown;
      if (!people.empty()) shown = people[random.Below(people.size())].track;
      call.AddSlot(*person.member, MediaKind::kVideo, shown);
      call.AddSlot(*person.member, MediaKind::kAudio);
    }
    people.push_back(person);
  };
  for (int i = 0; i < 4; ++i) join();
  call.Every(milliseconds(20), [&] {
    for (const Person& person : people) {
      if (person.member->client->state() != ClientState::kConnected) continue;
      call.SendVideoFrame(*person.video);
      call.SendAudio(*person.audio);
    }
  });
  for (int step = 0; step < 150; ++step) {
    call.RunFor(Duration(random.Between(1, 80'000)));
    const Person& person = people[random.Below(people.size())];
    switch (random.Below(10)) {
      case 0:
        call.shard().HandleCommand(CloseTransport{person.member->transport}, call.now);
        break;
      case 1:
        person.member->client->Close();
        break;
      case 2:
        person.member->silent = true;
        break;
      case 3:
        call.shard().HandleCommand(RemoveTrack{person.track}, call.now);
        break;
      case 4:
      case 5:
        if (people.size() < 30) join();
        break;
      case 6:
        call.shard().HandleCommand(RemoveSlot{SlotId{static_cast<uint32_t>(random.Below(60))}}, call.now);
        break;
      case 7:
        call.shard().HandleCommand(BindSlot{SlotId{static_cast<uint32_t>(random.Below(120))},
                                            people[random.Below(people.size())].track},
                                   call.now);
        break;
      case 8:
        call.shard().HandleCommand(MuteTrack{person.track, random.Percent(50)}, call.now);
        break;
      default:
        if (random.Percent(5)) {
          call.shard().HandleCommand(CloseRoom{ClientCall::kRoom}, call.now);
          call.shard().HandleCommand(CreateRoom{ClientCall::kRoom}, call.now);
        }
    }
  }
  call.shard().HandleCommand(CloseRoom{ClientCall::kRoom}, call.now);
  call.RunFor(seconds(40));
  EXPECT_EQ(call.shard().counts(), Shard::Counts{});
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCloses, ::testing::Range(uint64_t{1}, uint64_t{25}));

// Hard problem 13: 200,000 datagrams a second of all kinds of garbage beside a call, in emulated time: the
// call does not notice, the shard answers nothing and keeps nothing of it.
TEST(Flood, GarbageBesideACallCostsNoStateAndNoAnswer) {
  ClientCall call(7);
  ClientMember& publisher = call.Join();
  ClientMember& subscriber = call.Join();
  TrackId track;
  SendStream& video = call.Publish(publisher, MediaKind::kVideo, &track);
  ReceiveStream& slot = call.AddSlot(subscriber, MediaKind::kVideo, track);
  call.Every(milliseconds(40), [&] {
    if (publisher.client->state() == ClientState::kConnected) call.SendVideoFrame(video);
  });
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(milliseconds(500));
  const Shard::Counts before = call.shard().counts();
  Random random(3);
  uint64_t sent = 0;
  uint64_t answers = 0;
  std::vector<uint8_t> client_hello = {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60};
  client_hello.resize(73, 1);
  call.Every(milliseconds(1), [&] {
    const uint64_t so_far = call.shard().transmit().packet_count();
    for (int i = 0; i < 200; ++i, ++sent) {
      const SocketAddress from =
          random.Percent(20) ? publisher.address  // a forged source: the address of somebody who is known
                             : SocketAddress::V4({172, 16, static_cast<uint8_t>(random.Next()),
                                                  static_cast<uint8_t>(random.Next())},
                                                 static_cast<uint16_t>(random.Next()));
      std::vector<uint8_t> bytes(random.Between(0, 1'200));
      for (size_t k = 0; k < std::min<size_t>(bytes.size(), 64); ++k)
        bytes[k] = static_cast<uint8_t>(random.Next());
      switch (random.Below(5)) {
        case 0:
          if (from != publisher.address) bytes = client_hello;
          break;
        case 1:
          if (bytes.size() > 2) bytes[0] = 0x80, bytes[1] = 96;
          break;
        case 2:
          if (bytes.size() > 2) bytes[0] = 0x81, bytes[1] = 200;
          break;
        case 3: {
          StunTransactionId id{};
          StunWriter check(StunClass::kRequest, kStunBinding, id);
          check.Username("server1:client1");  // the right user and a wrong password
          check.IceControlling(1);
          check.UseCandidate();
          check.Priority(1);
          check.MessageIntegrity("guessedpasswordguessedpass");
          check.Fingerprint();
          bytes = check.ToVector();
          break;
        }
        default:
          break;
      }
      call.shard().HandleDatagram(bytes, from, call.now);
    }
    answers += call.shard().transmit().packet_count() - so_far;
  });
  call.RunFor(seconds(2));
  EXPECT_GE(sent, 390'000u);
  EXPECT_EQ(answers, 0u) << "garbage was answered";
  EXPECT_EQ(call.shard().counts(), before);
  EXPECT_EQ(publisher.client->state(), ClientState::kConnected);
  const Taken& taken = subscriber.taken[slot.config().ssrc];
  EXPECT_TRUE(taken.missing().empty());
  EXPECT_GE(taken.sequences.size(), 3u * 55u);
  EXPECT_EQ(taken.wrong_payload, 0u);
  // Each was thrown away for a reason that has a name.
  uint64_t dropped = 0;
  for (const uint64_t count : call.shard().drops().all()) dropped += count;
  EXPECT_GE(dropped, sent * 95 / 100);
}

}  // namespace
}  // namespace nexus::testing
