// ICE over TCP, the passive side (RFC 6544): listening sockets and what came through them, framed as RFC 4571
// says. Each connection is one remote address to the core; to the loop all of it is one descriptor. For peers
// whose network lets no UDP through, so it is built to be correct and bounded, not fast.
#pragma once

#include <sys/uio.h>

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "engine/room/run_builder.h"
#include "io/tcp_frame_reader.h"

namespace nexus {

struct TcpServerOptions {
  size_t max_connections = 4'096;
  // Of them, those from one IP address from which no valid check has come yet.
  size_t max_strangers_per_ip = 32;
  // So long a connection may be without a valid check, at its beginning and after its transport ended.
  Duration stranger_timeout = std::chrono::seconds(10);
  // What the peer has not read: beyond, packets are dropped whole, as a full router would.
  size_t max_backlog_bytes = 256u << 10;
};

struct TcpServerCounters {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // too many
  uint64_t closed = 0;
  uint64_t malformed = 0;  // closed for a length that nothing has
  uint64_t strangers = 0;  // closed because no valid check came
  uint64_t packets_in = 0;
  uint64_t bytes_in = 0;
  uint64_t packets_out = 0;
  uint64_t bytes_out = 0;
  uint64_t backlog_drops = 0;  // packets for which the backlog was full
};

class TcpServer {
 public:
  using Handle = std::function<void(MutableByteView packet, const SocketAddress& from)>;
  using Lost = std::function<void(const SocketAddress& from)>;
  using Knows = std::function<bool(const SocketAddress& from)>;

  // All addresses with their ports; null, with the system's error number, when one cannot be bound.
  static std::unique_ptr<TcpServer> Listen(const std::vector<SocketAddress>& addresses,
                                           const TcpServerOptions& options, int& error);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  // Readable when there is something to do.
  int fd() const { return epoll_; }
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // Accepts, reads and writes what can be without waiting, some of each at a time. `handle` may call `Send`.
  void Run(Timestamp now, const Handle& handle, const Lost& lost);
  // Sends the batch's packets to TCP addresses; those to a connection that is gone are dropped.
  void Send(const RunBuilder& batch);
  // Closes the connections that nothing vouches for. To be called about once a second.
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
  std::vector<iovec> pieces_;                    // scratch of one run
  std::vector<std::array<uint8_t, 2>> lengths_;  // scratch of one run
  bool any_broken_ = false;
  TcpServerCounters counters_;
};

}  // namespace nexus
