// Batched I/O through real sockets on loopback, with offload on and off, and with a kernel that refuses to
// send.
#include "io/udp_socket.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>

namespace nexus {
namespace {

std::optional<UdpSocket> Open(const char* ip, UdpSocketOptions options = {}) {
  int error = 0;
  return UdpSocket::Bind(*SocketAddress::Parse(ip, 0), options, error);
}

std::vector<uint8_t> Packet(uint8_t mark, size_t size) { return std::vector<uint8_t>(size, mark); }

// Waits for `count` datagrams; returns the first byte and the size of each.
std::vector<std::pair<int, size_t>> ReceiveAll(UdpSocket& socket, size_t count) {
  std::vector<std::pair<int, size_t>> received;
  WallClockOffset clock;
  clock.Measure();
  for (int attempts = 0; received.size() < count && attempts < 100; ++attempts) {
    pollfd readable{socket.fd(), POLLIN, 0};
    poll(&readable, 1, 100);
    const Timestamp now = MonotonicNow();
    socket.Receive(clock, now, [&](MutableByteView bytes, const SocketAddress&, Timestamp at) {
      EXPECT_LE(at, now);
      received.emplace_back(bytes[0], bytes.size());
    });
  }
  return received;
}

struct Offload {
  bool gso;
  bool gro;
};
class Batches : public ::testing::TestWithParam<Offload> {};

// The rules of a run: all packets have one length, a shorter packet ends it, and a longer one begins the
// next.
TEST_P(Batches, ArriveWholeAndInOrder) {
  UdpSocketOptions options;
  options.gso = GetParam().gso;
  options.gro = GetParam().gro;
  for (const char* ip : {"127.0.0.1", "::1"}) {
    std::optional<UdpSocket> sender = Open(ip, options);
    std::optional<UdpSocket> receiver = Open(ip, options);
    if (!sender || !receiver) {
      ASSERT_STREQ(ip, "::1") << "no IPv4 loopback";
      continue;  // a machine without IPv6
    }
    RunBuilder batch;
    RunCursor cursor;
    const std::vector<size_t> sizes = {1000, 1000, 1000, 400, 1200, 1200, 1201, 1201, 60, 1200};
    for (size_t i = 0; i < sizes.size(); ++i) {
      ASSERT_TRUE(batch.Append(cursor, receiver->local(), Packet(static_cast<uint8_t>(i), sizes[i])));
    }
    EXPECT_EQ(batch.runs().size(), 4u);
    sender->Send(batch);
    const std::vector<std::pair<int, size_t>> received = ReceiveAll(*receiver, sizes.size());
    ASSERT_EQ(received.size(), sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(received[i], std::pair(static_cast<int>(i), sizes[i]));
    }
    EXPECT_EQ(sender->counters().datagrams_out, sizes.size());
    EXPECT_EQ(sender->counters().send_errors, 0u);
    if (sender->gso_enabled()) {
      EXPECT_EQ(sender->counters().gso_runs, 3u);
      EXPECT_EQ(sender->counters().gso_segments, 9u);
    } else {
      EXPECT_EQ(sender->counters().gso_runs, 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Offloads, Batches,
                         ::testing::Values(Offload{true, true}, Offload{true, false}, Offload{false, true},
                                           Offload{false, false}));

TEST(UdpSocket, SendsMoreRunsThanOneCallTakes) {
  std::optional<UdpSocket> sender = Open("127.0.0.1");
  std::vector<std::optional<UdpSocket>> receivers;
  RunBuilder batch;
  for (int i = 0; i < 3; ++i) {
    receivers.push_back(Open("127.0.0.1"));
    // Singles: each is its own message, and together they exceed one call of sendmmsg.
    for (int k = 0; k < 300; ++k)
      batch.AppendSingle(receivers.back()->local(), Packet(static_cast<uint8_t>(k), 100));
  }
  sender->Send(batch);
  EXPECT_EQ(sender->counters().datagrams_out, 900u);
  for (auto& receiver : receivers) {
    const auto received = ReceiveAll(*receiver, 300);
    ASSERT_EQ(received.size(), 300u);
    for (int k = 0; k < 300; ++k) EXPECT_EQ(received[static_cast<size_t>(k)].first, k & 0xFF);
  }
}

// The kernel refuses GSO on a socket without checksums, as on paths that cannot offload.
TEST(UdpSocket, FallsBackToSinglesWithoutOffloadAndCountsIt) {
  std::optional<UdpSocket> sender = Open("127.0.0.1");
  std::optional<UdpSocket> receiver = Open("127.0.0.1");
  const int on = 1;
  ASSERT_EQ(setsockopt(sender->fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  for (int round = 0; round < 2; ++round) {
    RunBuilder batch;
    RunCursor cursor;
    for (int i = 0; i < 5; ++i) batch.Append(cursor, receiver->local(), Packet(static_cast<uint8_t>(i), 500));
    sender->Send(batch);
    const auto received = ReceiveAll(*receiver, 5);
    ASSERT_EQ(received.size(), 5u);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(received[static_cast<size_t>(i)].first, i);
  }
  EXPECT_FALSE(sender->gso_enabled());
  EXPECT_EQ(sender->counters().gso_fallbacks, 1u);
  EXPECT_EQ(sender->counters().gso_runs, 0u);
  EXPECT_EQ(sender->counters().datagrams_out, 10u);
}

// A kernel whose buffer is full after `room` messages.
int room = 0;
int refusal = EAGAIN;
int SendSome(int fd, mmsghdr* messages, unsigned count, int flags) {
  if (room == 0) {
    errno = refusal;
    return -1;
  }
  const int sent = sendmmsg(fd, messages, std::min(count, static_cast<unsigned>(room)), flags);
  if (sent > 0) room -= sent;
  return sent;
}

TEST(UdpSocket, PacketsThatTheKernelRefusesWaitInOrder) {
  UdpSocketOptions options;
  options.send = &SendSome;
  std::optional<UdpSocket> sender = Open("127.0.0.1", options);
  std::optional<UdpSocket> receiver = Open("127.0.0.1");
  refusal = EAGAIN;
  room = 1;
  uint8_t mark = 0;
  for (int round = 0; round < 3; ++round) {
    RunBuilder batch;
    RunCursor cursor;
    for (const size_t size : {400, 400, 300, 500, 500})
      batch.Append(cursor, receiver->local(), Packet(mark++, size));
    sender->Send(batch);
  }
  EXPECT_TRUE(sender->has_backlog());
  EXPECT_EQ(sender->counters().datagrams_out, 3u);
  while (sender->has_backlog()) {
    room = 1;
    sender->Flush();
  }
  const auto received = ReceiveAll(*receiver, mark);
  ASSERT_EQ(received.size(), mark);
  for (int i = 0; i < mark; ++i) EXPECT_EQ(received[static_cast<size_t>(i)].first, i);
  EXPECT_EQ(sender->counters().backlog_drops, 0u);
  EXPECT_EQ(sender->counters().backlogged, 12u);
}

TEST(UdpSocket, BoundsTheBacklog) {
  UdpSocketOptions options;
  options.send = &SendSome;
  options.max_backlog_bytes = 256 << 10;
  std::optional<UdpSocket> sender = Open("127.0.0.1", options);
  refusal = EAGAIN;
  room = 0;
  RunBuilder batch;
  for (int i = 0; i < 1000; ++i) batch.AppendSingle(*SocketAddress::Parse("127.0.0.1", 9), Packet(1, 1000));
  sender->Send(batch);
  const UdpSocketCounters& counters = sender->counters();
  EXPECT_EQ(counters.backlogged + counters.backlog_drops, 1000u);
  EXPECT_LE(counters.backlogged, 262u);
  EXPECT_GT(counters.backlogged, 200u);
}

TEST(UdpSocket, APacketThatIsRefusedForGoodDoesNotBlockOthers) {
  std::optional<UdpSocket> sender = Open("127.0.0.1");
  std::optional<UdpSocket> receiver = Open("127.0.0.1");
  RunBuilder batch;
  batch.AppendSingle(*SocketAddress::Parse("127.0.0.1", 0), Packet(1, 100));  // port 0 cannot be sent to
  batch.AppendSingle(receiver->local(), Packet(2, 100));
  sender->Send(batch);
  const auto received = ReceiveAll(*receiver, 1);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(received[0].first, 2);
  EXPECT_EQ(sender->counters().send_errors, 1u);
}

TEST(UdpSocket, ReportsAPortInUseAsAnError) {
  std::optional<UdpSocket> first = Open("127.0.0.1");
  int error = 0;
  EXPECT_FALSE(UdpSocket::Bind(first->local(), {}, error));
  EXPECT_EQ(error, EADDRINUSE);
}

}  // namespace
}  // namespace nexus
