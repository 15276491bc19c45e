// The passive side of ICE over TCP (RFC 6544): listeners and their connections, framed by RFC 4571. To the
// core each connection is a remote address; to the event loop the whole server is one descriptor. It serves
// peers whose network blocks UDP, so it is built to be correct and bounded rather than fast.
#pragma once

#include <sys/uio.h>

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "engine/transmit/run_builder.h"
#include "io/tcp_frame_reader.h"

namespace nexus {

struct TcpServerOptions {
  size_t max_connections = 4'096;
  // Maximum number of connections from one IP address without a valid check.
  size_t max_strangers_per_ip = 32;
  // How long a connection may be without a valid check, at its start and after its transport has ended.
  Duration stranger_timeout = std::chrono::seconds(10);
  // Maximum unsent data per connection; beyond it whole packets are dropped, as a congested router does.
  size_t max_backlog_bytes = 256u << 10;
};

struct TcpServerCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // above a limit
  uint64_t closed = 0;
  uint64_t malformed = 0;  // closed for an invalid length
  uint64_t strangers = 0;  // closed because no valid check came
  uint64_t packets_in = 0;
  uint64_t bytes_in = 0;
  uint64_t packets_out = 0;
  uint64_t bytes_out = 0;
  uint64_t backlog_drops = 0;  // packets dropped because the backlog was full
};

class TcpServer {
 public:
  using Handle = std::function<void(MutableByteView packet, const SocketAddress& from)>;
  using Lost = std::function<void(const SocketAddress& from)>;
  using Knows = std::function<bool(const SocketAddress& from)>;

  // Listens on all addresses with their ports; null if one cannot be bound, with the system's error number.
  static std::unique_ptr<TcpServer> Listen(const std::vector<SocketAddress>& addresses,
                                           const TcpServerOptions& options, int& error);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  // Readable when Run has work to do.
  int fd() const { return epoll_; }
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // Accepts, reads and writes without blocking, a bounded amount of each. `handle` may call `Send`.
  void Run(Timestamp now, const Handle& handle, const Lost& lost);
  // Sends the batch's packets to TCP addresses; packets to closed connections are dropped.
  void Send(const RunBuilder& batch);
  // Closes the connections whose peer has stayed unknown for too long. To be called about once a second.
  void Sweep(Timestamp now, const Knows& knows, const Lost& lost);

  size_t connections() const { return connections_.size(); }
  const TcpServerCounters& counters() const { return counters_; }

 private:
  struct Connection {
    int fd = -1;
    SocketAddress remote;
    Timestamp stranger_since;
    bool known = false;
    bool waits_writable = false;
    bool broken = false;
    TcpFrameReader reader;
    std::vector<uint8_t> backlog;
    size_t backlog_sent = 0;
  };

  explicit TcpServer(const TcpServerOptions& options);
  bool Bind(const SocketAddress& address, int& error);
  void Accept(int listener, Timestamp now);
  bool HasRoomFor(const SocketAddress& remote) const;
  void Read(Connection& connection, const Handle& handle);
  void Write(Connection& connection, const RunBuilder& batch, const TransmitRun& run);
  void Enqueue(Connection& connection, ByteView packet);
  void KeepRest(Connection& connection, const std::vector<iovec>& pieces, size_t written);
  void Flush(Connection& connection);
  void Watch(Connection& connection, bool writable);
  void CloseBroken(const Lost& lost);
  void Close(Connection& connection);

  TcpServerOptions options_;
  int epoll_ = -1;
  std::vector<int> listeners_;
  std::vector<SocketAddress> addresses_;
  std::unordered_map<int, Connection> connections_;  // by descriptor
  std::unordered_map<SocketAddress, int> by_address_;
  std::vector<uint8_t> buffer_;
  std::vector<iovec> pieces_;                    // scratch space of one run
  std::vector<std::array<uint8_t, 2>> lengths_;  // scratch space of one run
  bool any_broken_ = false;
  TcpServerCounters counters_;
};

}  // namespace nexus
