// Real sockets on loopback; the test sets the time.
#include "io/tcp_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/kernel_address.h"

namespace nexus {
namespace {

using Packet = std::vector<uint8_t>;

class Caller {
 public:
  explicit Caller(const SocketAddress& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage name{};
    const socklen_t length = ToKernel(server, name);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&name), length) == 0;
  }
  ~Caller() { close(fd_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  bool connected() const { return connected_; }
  void Write(const Packet& bytes) {
    ASSERT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), std::ssize(bytes));
  }
  // The next framed packet; empty if the stream has ended.
  Packet Read() {
    Packet length(2);
    if (!ReadAll(length)) return {};
    Packet packet(static_cast<size_t>(length[0]) << 8 | length[1]);
    return ReadAll(packet) ? packet : Packet{};
  }

 private:
  bool ReadAll(Packet& into) { return recv(fd_, into.data(), into.size(), MSG_WAITALL) == std::ssize(into); }
  int fd_;
  bool connected_ = false;
};

class TcpServerTest : public ::testing::Test {
 protected:
  void Open(TcpServerOptions options = {}) {
    int error = 0;
    // The server does not report the port that the system chooses for port 0, so the test looks for a free
    // one.
    for (uint16_t port = 42'000; port < 42'200 && server_ == nullptr; ++port) {
      server_ = TcpServer::Listen({*SocketAddress::Parse("127.0.0.1", port)}, options, error);
    }
    ASSERT_NE(server_, nullptr) << error;
  }
  const SocketAddress& address() const { return server_->addresses().front(); }
  // Runs the server until `done`.
  template <class Done>
  bool RunUntil(Done&& done) {
    for (int turn = 0; turn < 2'000; ++turn) {
      if (done()) return true;
      pollfd ready{server_->fd(), POLLIN, 0};
      poll(&ready, 1, 10);
      server_->Run(
          now_,
          [&](MutableByteView packet, const SocketAddress& from) {
            received_.emplace_back(packet.begin(), packet.end());
            last_from_ = from;
          },
          [&](const SocketAddress& from) { lost_.push_back(from); });
    }
    return done();
  }
  void Send(const std::vector<Packet>& packets, const SocketAddress& to) {
    RunBuilder batch;
    RunCursor cursor;
    for (const Packet& packet : packets) ASSERT_TRUE(batch.Append(cursor, to, packet));
    server_->Send(batch);
  }
  void Sweep(bool known) {
    server_->Sweep(
        now_, [&](const SocketAddress&) { return known; },
        [&](const SocketAddress& from) { lost_.push_back(from); });
  }

  std::unique_ptr<TcpServer> server_;
  Timestamp now_ = TimestampFromMicros(1'000'000);
  std::vector<Packet> received_;
  std::vector<SocketAddress> lost_;
  SocketAddress last_from_;
};

TEST_F(TcpServerTest, PacketsGoBothWaysAndAClosedConnectionIsReported) {
  Open();
  {
    Caller caller(address());
    ASSERT_TRUE(caller.connected());
    caller.Write({0, 3, 1, 2, 3, 0, 1, 9, 0, 2, 7});
    ASSERT_TRUE(RunUntil([&] { return received_.size() == 2; }));
    EXPECT_EQ(received_, (std::vector<Packet>{{1, 2, 3}, {9}}));
    EXPECT_TRUE(last_from_.is_tcp());
    Send({{5, 5}, {6, 6}, {7}}, last_from_);
    EXPECT_EQ(caller.Read(), (Packet{5, 5}));
    EXPECT_EQ(caller.Read(), (Packet{6, 6}));
    EXPECT_EQ(caller.Read(), (Packet{7}));
    EXPECT_EQ(server_->connections(), 1u);
  }
  ASSERT_TRUE(RunUntil([&] { return !lost_.empty(); }));
  EXPECT_EQ(lost_, std::vector{last_from_});
  EXPECT_EQ(server_->connections(), 0u);
  Send({{1}}, last_from_);  // the connection is gone: the packet is dropped
}

TEST_F(TcpServerTest, APeerThatDoesNotReadLosesWholePacketsButNotTheFraming) {
  TcpServerOptions options;
  options.max_backlog_bytes = 20'000;
  Open(options);
  Caller caller(address());
  caller.Write({0, 1, 1});
  ASSERT_TRUE(RunUntil([&] { return received_.size() == 1; }));
  const auto sent_of = [&] { return server_->counters().packets_out; };
  uint32_t number = 0;
  while (server_->counters().backlog_drops < 100 && number < 100'000) {
    Packet packet(1'200, 0);
    packet[0] = static_cast<uint8_t>(number >> 16);
    packet[1] = static_cast<uint8_t>(number >> 8);
    packet[2] = static_cast<uint8_t>(number);
    ++number;
    Send({packet}, last_from_);
  }
  ASSERT_GE(server_->counters().backlog_drops, 100u);
  const uint64_t sent = sent_of();
  EXPECT_EQ(sent + server_->counters().backlog_drops, number);
  uint64_t read = 0;
  int64_t last = -1;
  while (read < sent) {
    ASSERT_TRUE(RunUntil([&] { return true; }));
    server_->Run(
        now_, [](MutableByteView, const SocketAddress&) {}, [](const SocketAddress&) {});
    const Packet packet = caller.Read();
    ASSERT_EQ(packet.size(), 1'200u);
    const int64_t value = packet[0] << 16 | packet[1] << 8 | packet[2];
    ASSERT_GT(value, last);
    last = value;
    ++read;
  }
}

TEST_F(TcpServerTest, ClosesAConnectionWithoutAValidCheck) {
  Open();
  Caller caller(address());
  caller.Write({0, 1, 1});
  ASSERT_TRUE(RunUntil([&] { return received_.size() == 1; }));
  now_ += std::chrono::seconds(9);
  Sweep(false);
  EXPECT_EQ(server_->connections(), 1u);
  Sweep(true);
  now_ += std::chrono::seconds(60);
  Sweep(true);
  EXPECT_EQ(server_->connections(), 1u) << "a known connection stays";
  Sweep(false);  // its transport has ended: it may still read the last packets
  EXPECT_EQ(server_->connections(), 1u);
  now_ += std::chrono::seconds(10);
  Sweep(false);
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(lost_.size(), 1u);
  EXPECT_TRUE(caller.Read().empty());
}

TEST_F(TcpServerTest, LimitsStrangersAndClosesAConnectionWithBadFraming) {
  TcpServerOptions options;
  options.max_strangers_per_ip = 2;
  Open(options);
  Caller first(address());
  Caller second(address());
  Caller third(address());
  ASSERT_TRUE(RunUntil([&] { return server_->counters().refused == 1; }));
  EXPECT_EQ(server_->connections(), 2u);
  first.Write({0xFF, 0xFF, 0});
  ASSERT_TRUE(RunUntil([&] { return server_->counters().malformed == 1; }));
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_TRUE(first.Read().empty());
}

}  // namespace
}  // namespace nexus
