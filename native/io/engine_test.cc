// The whole engine over loopback: real sockets, threads and time. Each wait is for a condition, with a bound
// that only a broken engine reaches.
#include "io/engine.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "testing/tap_reading.h"
#include "testing/test_peer.h"

namespace nexus {
namespace {

using testing::Datagram;
using testing::PeerOptions;
using testing::PublishedStreamOptions;
using testing::TestPeer;

std::unique_ptr<Engine> OpenEngine(size_t shards = 1, bool gso = true, size_t room_share = 0) {
  EngineConfig config;
  config.room_share = room_share;
  config.shards = shards;
  config.bind_addresses = {*SocketAddress::Parse("127.0.0.1", 0)};
  config.socket.gso = gso;
  config.shard.bandwidth.start_bps = 20'000'000;  // high enough to forward all layers at once
  config.socket.gro = gso;
  int error = 0;
  return Engine::Open(std::move(config), error);
}

// A test peer with its own socket.
struct RealPeer {
  RealPeer(uint64_t seed)
      : socket([] {
          int error = 0;
          return *UdpSocket::Bind(*SocketAddress::Parse("127.0.0.1", 0), {}, error);
        }()),
        peer([&] {
          PeerOptions options;
          options.address = socket.local();
          options.seed = seed;
          return options;
        }()) {}

  void Pump() {
    const Timestamp now = MonotonicNow();
    socket.Receive(clock, now, [&](MutableByteView bytes, const SocketAddress& from, Timestamp) {
      peer.HandleDatagram(bytes, from, now);
    });
    if (peer.NextDeadline() <= now) peer.HandleTimeout(now);
    RunBuilder batch;
    for (const Datagram& datagram : peer.TakeDatagrams()) batch.AppendSingle(datagram.to, datagram.bytes);
    socket.Send(batch);
  }

  UdpSocket socket;
  WallClockOffset clock;
  TestPeer peer;
};

// Runs peers and events until `done`.
bool RunUntil(Engine& engine, std::vector<RealPeer*> peers, std::vector<Event>& events,
              const std::function<bool()>& done) {
  const Timestamp end = MonotonicNow() + std::chrono::seconds(30);
  while (!done()) {
    if (MonotonicNow() > end) return false;
    for (RealPeer* peer : peers) peer->Pump();
    pollfd readable{engine.event_fd(), POLLIN, 0};
    if (poll(&readable, 1, 1) > 0) {
      for (Event& event : engine.PollEvents(100)) events.push_back(std::move(event));
    }
  }
  return true;
}

bool HasState(const std::vector<Event>& events, TransportId transport, TransportState state) {
  for (const Event& event : events) {
    const auto* changed = std::get_if<TransportChanged>(&event);
    if (changed != nullptr && changed->transport == transport && changed->state == state) return true;
  }
  return false;
}

// The first transport publishes video "v", and the second one subscribes to it.
void WatchVideo(Engine& engine, const std::vector<TransportId>& transports, TrackId& track,
                SlotDescription& slot) {
  TrackSettings settings;
  settings.kind = MediaKind::kVideo;
  settings.number = 42;
  settings.mid = "v";
  ASSERT_EQ(engine.AddTrack(transports[0], settings, track), CallError::kNone);
  ASSERT_EQ(engine.AddSlot(transports[1], MediaKind::kVideo, 0, slot), CallError::kNone);
  ASSERT_EQ(engine.Send(BindSlot{slot.slot, track}), CallError::kNone);
}

class EngineWithOffload : public ::testing::TestWithParam<bool> {};

TEST_P(EngineWithOffload, ForwardsVideoOverLoopback) {
  std::unique_ptr<Engine> engine = OpenEngine(1, GetParam());
  ASSERT_NE(engine, nullptr);
  RealPeer publisher(1);
  RealPeer subscriber(2);
  std::vector<RealPeer*> peers = {&publisher, &subscriber};
  std::vector<Event> events;
  RoomId room;
  ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
  std::vector<TransportId> transports;
  for (RealPeer* peer : peers) {
    TransportDescription description;
    ASSERT_EQ(engine->CreateTransport(room, peer->peer.Settings(), description), CallError::kNone);
    ASSERT_EQ(description.candidates.size(), 2u);
    ASSERT_FALSE(description.candidates[0].address.is_tcp());
    ASSERT_TRUE(description.candidates[1].address.is_tcp());
    peer->peer.Connect({description.local, engine->fingerprint(), description.candidates[0].address},
                       MonotonicNow());
    transports.push_back(description.transport);
  }
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    return HasState(events, transports[0], TransportState::kConnected) &&
           HasState(events, transports[1], TransportState::kConnected) && publisher.peer.connected() &&
           subscriber.peer.connected();
  }));

  PublishedStreamOptions options;
  options.ssrc = Ssrc{0x1111};
  options.mid = "v";
  options.mark = 5;
  TrackId track;
  SlotDescription slot;
  ASSERT_NO_FATAL_FAILURE(WatchVideo(*engine, transports, track, slot));
  testing::PublishedStream& stream = publisher.peer.Publish(options);
  testing::ReceivedStream& received = subscriber.peer.Receive(slot.ssrc, slot.rtx_ssrc, MediaKind::kVideo);
  Timestamp next_frame = MonotonicNow();
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    if (MonotonicNow() >= next_frame) {
      publisher.peer.SendVideoFrame(stream, MonotonicNow(), 12);
      next_frame = MonotonicNow() + std::chrono::milliseconds(10);
    }
    return received.packets.size() > 500;
  }));
  for (const auto& [sequence, packet] : received.packets) {
    ASSERT_TRUE(packet.mark);
    EXPECT_EQ(packet.mark->mark, 5u);
    EXPECT_EQ(packet.csrc, 42u);
  }

  uint32_t request = 0;
  ASSERT_EQ(engine->RequestStats(std::nullopt, request), CallError::kNone);
  const StatsReady* report = nullptr;
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    for (const Event& event : events)
      report = std::get_if<StatsReady>(&event) ? std::get_if<StatsReady>(&event) : report;
    return report != nullptr;
  }));
  EXPECT_EQ(report->request, request);
  EXPECT_GT(report->engine.datagrams_in, 500u);
  EXPECT_GT(report->engine.datagrams_out, 500u);
  EXPECT_GT(report->engine.cpu_seconds, 0);
  if (!GetParam()) {
    EXPECT_EQ(report->engine.gso_runs, 0u);
  }
  engine->Close();
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    return HasState(events, transports[0], TransportState::kClosed) &&
           HasState(events, transports[1], TransportState::kClosed);
  }));
}

INSTANTIATE_TEST_SUITE_P(Gso, EngineWithOffload, ::testing::Bool());

// Publisher and subscriber on two threads, and a tap on the publisher's. Also run with TSan.
TEST(Engine, ForwardsAndTapsARoomOverTwoShards) {
  std::unique_ptr<Engine> engine = OpenEngine(2, true, 1);
  ASSERT_NE(engine, nullptr);
  RealPeer publisher(1);
  RealPeer subscriber(2);
  std::vector<RealPeer*> peers = {&publisher, &subscriber};
  std::vector<Event> events;
  RoomId room;
  ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
  std::vector<TransportId> transports;
  std::set<uint16_t> ports;
  for (RealPeer* peer : peers) {
    TransportDescription description;
    ASSERT_EQ(engine->CreateTransport(room, peer->peer.Settings(), description), CallError::kNone);
    peer->peer.Connect({description.local, engine->fingerprint(), description.candidates[0].address},
                       MonotonicNow());
    transports.push_back(description.transport);
    ports.insert(description.candidates[0].address.port());
  }
  EXPECT_EQ(ports.size(), 2u) << "one shard each";
  TrackId track;
  SlotDescription slot;
  ASSERT_NO_FATAL_FAILURE(WatchVideo(*engine, transports, track, slot));
  TapId tap;
  ASSERT_EQ(engine->AddTap(track, {}, tap), CallError::kNone);
  PublishedStreamOptions options;
  options.ssrc = Ssrc{0x1111};
  options.mid = "v";
  options.mark = 5;
  testing::PublishedStream& stream = publisher.peer.Publish(options);
  testing::ReceivedStream& received = subscriber.peer.Receive(slot.ssrc, slot.rtx_ssrc, MediaKind::kVideo);
  testing::TapReading reading;
  Timestamp next_frame = MonotonicNow();
  const auto read_taps = [&] {
    pollfd readable{engine->tap_fd(), POLLIN, 0};
    if (poll(&readable, 1, 0) <= 0) return;
    for (const TapId ready : engine->ReadyTaps()) reading.Add(engine->ReadTap(ready, 1 << 20));
  };
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    if (publisher.peer.connected() && subscriber.peer.connected() && MonotonicNow() >= next_frame) {
      publisher.peer.SendVideoFrame(stream, MonotonicNow(), 4);
      next_frame = MonotonicNow() + std::chrono::milliseconds(10);
    }
    read_taps();
    return received.packets.size() > 300 && reading.Of(testing::TapRecord::kPacket).size() > 300;
  }));
  EXPECT_EQ(received.Faults({{5, 42}}), "");
  EXPECT_EQ(reading.Faults(true), "");

  // The other shard and the tap learn that the publisher leaves.
  ASSERT_EQ(engine->CloseTransport(transports[0]), CallError::kNone);
  ASSERT_TRUE(RunUntil(*engine, peers, events, [&] {
    read_taps();
    bool unbound = false;
    for (const Event& event : events) {
      const auto* changed = std::get_if<SlotChanged>(&event);
      unbound = unbound || (changed != nullptr && changed->slot == slot.slot && !changed->track);
    }
    return unbound && reading.ended;
  }));
  ASSERT_EQ(engine->CloseRoom(room), CallError::kNone);
  ASSERT_TRUE(RunUntil(*engine, peers, events,
                       [&] { return HasState(events, transports[1], TransportState::kClosed); }));
  for (const Event& event : events) EXPECT_FALSE(std::holds_alternative<CommandRejected>(event));
  engine->Close();
}

TEST(Engine, RefusesUnknownIdsAndCallsAfterClose) {
  std::unique_ptr<Engine> engine = OpenEngine(2);
  EXPECT_EQ(engine->CloseRoom(RoomId{0}), CallError::kUnknownId);
  EXPECT_EQ(engine->CloseRoom(RoomId{1}), CallError::kUnknownId);
  RoomId room;
  ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
  EXPECT_EQ(engine->CloseRoom(room), CallError::kNone);
  SlotDescription slot;
  EXPECT_EQ(engine->AddSlot(TransportId{7}, MediaKind::kVideo, 0, slot), CallError::kUnknownId);
  engine->Close();
  engine->Close();
  EXPECT_EQ(engine->CreateRoom(room), CallError::kClosed);
}

TEST(Engine, SpreadsRoomsOverShardsAndNamesTheShardInTheUfrag) {
  std::unique_ptr<Engine> engine = OpenEngine(2);
  const std::vector<uint16_t> ports = engine->ports();
  ASSERT_EQ(ports.size(), 2u);
  TestPeer peer(PeerOptions{});
  std::set<uint16_t> used;
  std::set<std::string> prefixes;
  for (int i = 0; i < 2; ++i) {
    RoomId room;
    ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
    TransportDescription description;
    ASSERT_EQ(engine->CreateTransport(room, peer.Settings(), description), CallError::kNone);
    used.insert(description.candidates.at(0).address.port());
    prefixes.insert(description.local.ufrag.substr(0, 2));
  }
  EXPECT_EQ(used, std::set<uint16_t>(ports.begin(), ports.end()));
  EXPECT_EQ(prefixes.size(), 2u);
}

TEST(Engine, MergesTheReportsOfAllShards) {
  std::unique_ptr<Engine> engine = OpenEngine(3);
  uint32_t request = 0;
  ASSERT_EQ(engine->RequestStats(std::nullopt, request), CallError::kNone);
  std::vector<Event> events;
  ASSERT_TRUE(RunUntil(*engine, {}, events, [&] { return !events.empty(); }));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<StatsReady>(events[0]).request, request);
}

TEST(Engine, RefusesTransportsAboveTheMaximumUntilOneCloses) {
  EngineConfig config;
  config.bind_addresses = {*SocketAddress::Parse("127.0.0.1", 0)};
  config.max_transports = 2;
  int error = 0;
  std::unique_ptr<Engine> engine = Engine::Open(std::move(config), error);
  TestPeer peer(PeerOptions{});
  RoomId room;
  ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
  TransportDescription description;
  ASSERT_EQ(engine->CreateTransport(room, peer.Settings(), description), CallError::kNone);
  ASSERT_EQ(engine->CreateTransport(room, peer.Settings(), description), CallError::kNone);
  EXPECT_EQ(engine->CreateTransport(room, peer.Settings(), description), CallError::kTooManyTransports);
  EXPECT_EQ(engine->CloseTransport(description.transport), CallError::kNone);
  std::vector<Event> events;
  EXPECT_TRUE(RunUntil(*engine, {}, events, [&] {
    return engine->CreateTransport(room, peer.Settings(), description) == CallError::kNone;
  }));
}

// Hard problem 23, for TSan: many threads call while events are polled and the engine closes.
TEST(Engine, MayBeCalledFromManyThreadsWhileItCloses) {
  std::unique_ptr<Engine> engine = OpenEngine(2);
  const TestPeer peer(PeerOptions{});
  const TransportSettings settings = peer.Settings();
  std::atomic<int> closed_seen{0};
  std::atomic<int> calls{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (true) {
        RoomId room;
        ++calls;
        if (engine->CreateRoom(room) == CallError::kClosed) break;
        TransportDescription description;
        SlotDescription slot;
        engine->CreateTransport(room, settings, description);
        engine->AddSlot(description.transport, MediaKind::kVideo, 0, slot);
        engine->CloseTransport(description.transport);
        engine->CloseRoom(room);
      }
      ++closed_seen;
    });
  }
  std::vector<Event> events;
  EXPECT_TRUE(RunUntil(*engine, {}, events, [&] { return calls > 200 && events.size() > 50; }));
  engine->Close();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(closed_seen, 3);
}

TEST(EventRing, IsBoundedAndCountsDroppedEvents) {
  EventRing ring(3);
  std::vector<Event> events(5, Event(TrackStarted{TrackId{1}, Codec::kVp8}));
  ring.Push(events);
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(ring.dropped(), 2u);
  pollfd readable{ring.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 0), 1);
  EXPECT_EQ(ring.Take(2).size(), 2u);
  EXPECT_EQ(poll(&readable, 1, 0), 1) << "readable while events are queued";
  EXPECT_EQ(ring.Take(2).size(), 1u);
  EXPECT_EQ(poll(&readable, 1, 0), 0);
}

TEST(CommandQueue, IsBounded) {
  CommandQueue queue(2);
  EXPECT_TRUE(queue.Push(CloseRoom{RoomId{1}}));
  EXPECT_TRUE(queue.Push(CloseRoom{RoomId{2}}));
  EXPECT_FALSE(queue.Push(CloseRoom{RoomId{3}}));
  std::vector<Command> taken;
  queue.Take(taken);
  EXPECT_EQ(taken.size(), 2u);
  EXPECT_TRUE(queue.Push(CloseRoom{RoomId{3}}));
}

TEST(Candidates, AnnouncedAddressesReplaceBoundOnes) {
  const auto address = [](const char* ip, uint16_t port) { return *SocketAddress::Parse(ip, port); };
  const std::vector<SocketAddress> bound = {address("0.0.0.0", 5000), address("::", 5000)};
  const std::vector<SocketAddress> interfaces = {address("192.0.2.7", 0), address("2001:db8::7", 0)};
  const auto own = MakeCandidates(bound, {}, interfaces);
  ASSERT_EQ(own.size(), 2u);
  EXPECT_EQ(own[0].address, address("2001:db8::7", 5000));
  EXPECT_EQ(own[1].address, address("192.0.2.7", 5000));
  EXPECT_EQ(own[0].priority, 126u << 24 | 65'535u << 8 | 255u);
  EXPECT_GT(own[0].priority, own[1].priority);
  EXPECT_NE(own[0].foundation, own[1].foundation);
  const auto announced = MakeCandidates(bound, {address("198.51.100.1", 0)}, interfaces);
  ASSERT_EQ(announced.size(), 1u);
  EXPECT_EQ(announced[0].address, address("198.51.100.1", 5000));
  const auto loopback = MakeCandidates({address("127.0.0.1", 6000)}, {}, interfaces);
  ASSERT_EQ(loopback.size(), 1u);
  EXPECT_EQ(loopback[0].address, address("127.0.0.1", 6000));
}

// RFC 8421 section 4, and RFC 8445 section 5.1.2.1: a local preference for each address.
TEST(Candidates, InterleavesFamiliesAndPutsUdpFirst) {
  const auto address = [](const std::string& ip) { return *SocketAddress::Parse(ip, 0); };
  const auto order = [&](int v6, int v4) {
    std::vector<SocketAddress> announced;
    for (int i = 1; i <= v4; ++i) announced.push_back(address("192.0.2." + std::to_string(i)));
    for (int i = 1; i <= v6; ++i) announced.push_back(address("2001:db8::" + std::to_string(i)));
    const SocketAddress any4 = *SocketAddress::Parse("0.0.0.0", 5000);
    const SocketAddress any6 = *SocketAddress::Parse("::", 5000);
    const std::vector<IceCandidate> candidates =
        MakeCandidates({any4, any6, any4.OverTcp(), any6.OverTcp()}, announced, {});
    std::string text;
    std::set<uint32_t> priorities;
    std::set<std::string> foundations;
    for (const IceCandidate& candidate : candidates) {
      const ByteView ip = candidate.address.ip();
      text += (candidate.address.is_tcp() ? "t" : "u") + std::string(ip.size() == 16 ? "6" : "4") +
              std::to_string(ip.back()) + " ";
      EXPECT_TRUE(priorities.empty() || candidate.priority < *priorities.begin());
      priorities.insert(candidate.priority);
      foundations.insert(candidate.foundation);
    }
    EXPECT_EQ(priorities.size(), candidates.size());
    EXPECT_EQ(foundations.size(), candidates.size());
    return text;
  };
  EXPECT_EQ(order(1, 1), "u61 u41 t61 t41 ");
  EXPECT_EQ(order(2, 2), "u61 u41 u62 u42 t61 t41 t62 t42 ");
  EXPECT_EQ(order(1, 3), "u61 u41 u42 u43 t61 t41 t42 t43 ");
  EXPECT_EQ(order(6, 2), "u61 u62 u63 u41 u64 u65 u66 u42 t61 t62 t63 t41 t64 t65 t66 t42 ");
  EXPECT_EQ(order(0, 2), "u41 u42 t41 t42 ");
  EXPECT_EQ(order(2, 0), "u61 u62 t61 t62 ");
}

}  // namespace
}  // namespace nexus
