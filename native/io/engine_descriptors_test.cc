// Real sockets: engines that open and close, and clients that connect and abort, leave no descriptor and no
// transport behind (hard problem 16: mediasoup #222, #259, janus #3345 and livekit #4725 leaked ports).
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <random>

#include "engine/client/client.h"
#include "io/engine.h"

namespace nexus {
namespace {

using std::chrono::seconds;

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

EngineConfig LocalEngine() {
  EngineConfig config;
  config.shards = 2;
  config.bind_addresses = {*SocketAddress::Parse("127.0.0.1", 0)};
  config.shard.certificate = DtlsCertificate::Generate();
  return config;
}

// A client with its own socket.
struct RealClient {
  RealClient(Engine& engine, RoomId room, std::shared_ptr<const DtlsCertificate> certificate, uint64_t seed)
      : socket(UdpSocket::Bind(*SocketAddress::Parse("127.0.0.1", 0),
                               {.receive_buffer = 65'536, .send_buffer = 65'536}, bind_error)) {
    ClientConfig config;
    config.transport.ice = {"client" + std::to_string(seed), "clientpasswordclientpassword"};
    config.transport.certificate = certificate;
    config.transport.seed = seed;
    CodecBinding opus;
    opus.payload_type = PayloadType{111};
    opus.codec = Codec::kOpus;
    opus.clock_rate = 48'000;
    config.codecs = {opus};
    TransportSettings settings;
    settings.remote = config.transport.ice;
    settings.fingerprints = {{"sha-256", certificate->fingerprint()}};
    settings.codecs = config.codecs;
    EXPECT_EQ(engine.CreateTransport(room, settings, description), CallError::kNone);
    client.emplace(std::move(config), out);
    ClientRemote remote{description.local, {{"sha-256", engine.fingerprint()}}, {}};
    for (const IceCandidate& candidate : description.candidates) {
      remote.candidates.push_back({candidate.address, candidate.priority});
    }
    client->Connect(remote, MonotonicNow());
    Flush();
  }
  void Flush() {
    socket->Send(out);
    out.Clear();
  }
  // Polls the socket once, for at most 5 ms.
  void Turn() {
    pollfd waiting{socket->fd(), POLLIN, 0};
    poll(&waiting, 1, 5);
    clock.Measure();
    const Timestamp now = MonotonicNow();
    socket->Receive(clock, now, [&](MutableByteView bytes, const SocketAddress& from, Timestamp received) {
      client->HandleDatagram(bytes, from, received, now);
    });
    if (client->NextDeadline() <= now) client->HandleTimeout(now);
    Flush();
  }
  int bind_error = 0;
  std::optional<UdpSocket> socket;
  WallClockOffset clock;
  RunBuilder out;
  TransportDescription description;
  std::optional<Client> client;
};

TEST(Descriptors, ClosedEnginesLeaveNoDescriptor) {
  int error = 0;
  { auto warm_up = Engine::Open(LocalEngine(), error); }
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 20; ++i) {
    auto engine = Engine::Open(LocalEngine(), error);
    ASSERT_NE(engine, nullptr);
    RoomId room;
    ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
    if (i % 2 == 0) engine->Close();
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(Descriptors, ConnectionsAndAbortsLeaveNoDescriptor) {
  int error = 0;
  auto engine = Engine::Open(LocalEngine(), error);
  ASSERT_NE(engine, nullptr);
  RoomId room;
  ASSERT_EQ(engine->CreateRoom(room), CallError::kNone);
  const auto certificate = DtlsCertificate::Generate();
  const size_t before = OpenDescriptors();
  std::mt19937_64 random(1);
  size_t connected = 0;
  constexpr size_t kConnections = 300;
  for (size_t i = 0; i < kConnections; ++i) {
    RealClient one(*engine, room, certificate, i);
    const size_t turns = random() % 40;
    for (size_t turn = 0; turn < turns && one.client->state() != ClientState::kConnected; ++turn) one.Turn();
    connected += one.client->state() == ClientState::kConnected ? 1 : 0;
    if (i % 3 == 0) one.client->Close();
    one.Flush();
    ASSERT_EQ(engine->CloseTransport(one.description.transport), CallError::kNone);
    engine->PollEvents(1'000);
  }
  EXPECT_GT(connected, kConnections / 10);
  EXPECT_EQ(OpenDescriptors(), before);
  // The shards' count agrees: a report is answered after all commands before it.
  uint32_t request = 0;
  ASSERT_EQ(engine->RequestStats(std::nullopt, request), CallError::kNone);
  std::optional<StatsReady> report;
  while (!report) {
    pollfd waiting{engine->event_fd(), POLLIN, 0};
    ASSERT_GT(poll(&waiting, 1, 60'000), 0) << "no report";
    for (Event& event : engine->PollEvents(1'000)) {
      if (auto* ready = std::get_if<StatsReady>(&event)) report = std::move(*ready);
    }
  }
  EXPECT_EQ(report->engine.transports, 0u);
  EXPECT_TRUE(report->transports.empty());
}

}  // namespace
}  // namespace nexus
