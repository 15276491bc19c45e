#include "io/tcp_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/kernel_address.h"

namespace nexus {
namespace {

constexpr size_t kReadSize = 64u << 10;
constexpr int kEventsAtOnce = 64;
constexpr int kAcceptsAtOnce = 64;
constexpr int kBacklog = 128;

bool SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

bool SameIp(const SocketAddress& a, const SocketAddress& b) { return std::ranges::equal(a.ip(), b.ip()); }

}  // namespace

std::unique_ptr<TcpServer> TcpServer::Listen(const std::vector<SocketAddress>& addresses,
                                             const TcpServerOptions& options, int& error) {
  std::unique_ptr<TcpServer> server(new TcpServer(options));
  for (const SocketAddress& address : addresses) {
    if (!server->Bind(address, error)) return nullptr;
  }
  return server;
}

TcpServer::TcpServer(const TcpServerOptions& options)
    : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(kReadSize) {}

TcpServer::~TcpServer() {
  for (auto& [fd, connection] : connections_) close(fd);
  for (const int listener : listeners_) close(listener);
  close(epoll_);
}

bool TcpServer::Bind(const SocketAddress& address, int& error) {
  const int family = address.is_v6() ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return error = errno, false;
  listeners_.push_back(fd);
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.is_v6()) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage name{};
  const socklen_t length = ToKernel(address, name);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0 || listen(fd, kBacklog) != 0 ||
      epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return error = errno, false;
  }
  addresses_.push_back(address.OverTcp());
  return true;
}

void TcpServer::Run(Timestamp now, const Handle& handle, const Lost& lost) {
  std::array<epoll_event, kEventsAtOnce> ready;
  const int count = epoll_wait(epoll_, ready.data(), kEventsAtOnce, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<size_t>(i)];
    if (std::ranges::find(listeners_, event.data.fd) != listeners_.end()) {
      Accept(event.data.fd, now);
      continue;
    }
    const auto found = connections_.find(event.data.fd);
    if (found == connections_.end()) continue;
    if ((event.events & EPOLLOUT) != 0) Flush(found->second);
    if ((event.events & ~uint32_t{EPOLLOUT}) != 0) Read(found->second, handle);
  }
  CloseBroken(lost);
}

void TcpServer::Accept(int listener, Timestamp now) {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    const int fd =
        accept4(listener, reinterpret_cast<sockaddr*>(&name), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const SocketAddress remote = FromKernel(name).OverTcp();
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.fd = fd;
    if (!HasRoomFor(remote) || epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      ++counters_.refused;
      close(fd);
      continue;
    }
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    ++counters_.accepted;
    Connection& connection = connections_[fd];
    connection.fd = fd;
    connection.remote = remote;
    connection.stranger_since = now;
    by_address_[remote] = fd;
  }
}

bool TcpServer::HasRoomFor(const SocketAddress& remote) const {
  if (connections_.size() >= options_.max_connections) return false;
  const auto strangers = std::ranges::count_if(connections_, [&](const auto& entry) {
    return !entry.second.known && SameIp(entry.second.remote, remote);
  });
  return static_cast<size_t>(strangers) < options_.max_strangers_per_ip;
}

// Reads once per turn, so that one connection cannot monopolise the loop; epoll reports the rest next time.
void TcpServer::Read(Connection& connection, const Handle& handle) {
  const ssize_t size = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
  if (size < 0 && (WouldBlock(errno) || errno == EINTR)) return;
  if (size <= 0) {
    connection.broken = any_broken_ = true;
    return;
  }
  counters_.bytes_in += static_cast<uint64_t>(size);
  const SocketAddress from = connection.remote;
  const bool sound = connection.reader.Feed(MutableByteView(buffer_).first(static_cast<size_t>(size)),
                                            [&](MutableByteView packet) {
                                              ++counters_.packets_in;
                                              handle(packet, from);
                                            });
  if (sound) return;
  ++counters_.malformed;
  connection.broken = any_broken_ = true;
}

void TcpServer::Send(const RunBuilder& batch) {
  if (connections_.empty()) return;
  for (const TransmitRun& run : batch.runs()) {
    if (run.count == 0 || !run.destination.is_tcp()) continue;
    const auto found = by_address_.find(run.destination);
    if (found != by_address_.end()) Write(connections_.at(found->second), batch, run);
  }
}

void TcpServer::Write(Connection& connection, const RunBuilder& batch, const TransmitRun& run) {
  if (connection.broken) return;
  pieces_.clear();
  lengths_.resize(run.count);
  size_t total = 0;
  uint32_t index = run.first;
  for (uint32_t i = 0; i < run.count; ++i) {
    const TransmitPacket& packet = batch.packet(index);
    index = packet.next;
    if (!connection.backlog.empty()) {
      Enqueue(connection, ByteView(packet.bytes, packet.size));
      continue;
    }
    lengths_[i] = {static_cast<uint8_t>(packet.size >> 8), static_cast<uint8_t>(packet.size)};
    pieces_.push_back({lengths_[i].data(), lengths_[i].size()});
    pieces_.push_back({const_cast<uint8_t*>(packet.bytes), packet.size});
    total += lengths_[i].size() + packet.size;
  }
  if (pieces_.empty()) return;
  msghdr message{};
  message.msg_iov = pieces_.data();
  message.msg_iovlen = pieces_.size();
  const ssize_t sent = sendmsg(connection.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && !WouldBlock(errno) && errno != EINTR) {
    connection.broken = any_broken_ = true;
    return;
  }
  const size_t written = sent < 0 ? 0 : static_cast<size_t>(sent);
  counters_.bytes_out += written;
  counters_.packets_out += run.count;
  if (written < total) KeepRest(connection, pieces_, written);
}

// Keeps the unsent rest, because a packet that was sent in part must be completed to keep the framing.
void TcpServer::KeepRest(Connection& connection, const std::vector<iovec>& pieces, size_t written) {
  for (const iovec& piece : pieces) {
    const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
    const size_t skipped = std::min(written, piece.iov_len);
    written -= skipped;
    connection.backlog.insert(connection.backlog.end(), bytes + skipped, bytes + piece.iov_len);
  }
  Watch(connection, true);
}

void TcpServer::Enqueue(Connection& connection, ByteView packet) {
  const size_t waiting = connection.backlog.size() - connection.backlog_sent;
  if (waiting + 2 + packet.size() > options_.max_backlog_bytes) {
    ++counters_.backlog_drops;
    return;
  }
  ++counters_.packets_out;
  connection.backlog.push_back(static_cast<uint8_t>(packet.size() >> 8));
  connection.backlog.push_back(static_cast<uint8_t>(packet.size()));
  connection.backlog.insert(connection.backlog.end(), packet.begin(), packet.end());
}

void TcpServer::Flush(Connection& connection) {
  const ByteView left = ByteView(connection.backlog).subspan(connection.backlog_sent);
  const ssize_t sent = send(connection.fd, left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (!WouldBlock(errno) && errno != EINTR) connection.broken = any_broken_ = true;
    return;
  }
  counters_.bytes_out += static_cast<uint64_t>(sent);
  connection.backlog_sent += static_cast<size_t>(sent);
  if (connection.backlog_sent == connection.backlog.size()) {
    connection.backlog.clear();
    connection.backlog_sent = 0;
    Watch(connection, false);
  } else if (connection.backlog_sent >= options_.max_backlog_bytes) {
    // Sent bytes are erased, so that the buffer stays within twice its bound.
    connection.backlog.erase(connection.backlog.begin(),
                             connection.backlog.begin() + static_cast<ptrdiff_t>(connection.backlog_sent));
    connection.backlog_sent = 0;
  }
}

void TcpServer::Watch(Connection& connection, bool writable) {
  if (connection.waits_writable == writable) return;
  connection.waits_writable = writable;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | (writable ? uint32_t{EPOLLOUT} : 0u);
  event.data.fd = connection.fd;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void TcpServer::Sweep(Timestamp now, const Knows& knows, const Lost& lost) {
  for (auto& [fd, connection] : connections_) {
    const bool known = knows(connection.remote);
    if (known || connection.known) connection.stranger_since = now;
    connection.known = known;
    if (known || now - connection.stranger_since < options_.stranger_timeout) continue;
    ++counters_.strangers;
    connection.broken = any_broken_ = true;
  }
  CloseBroken(lost);
}

void TcpServer::CloseBroken(const Lost& lost) {
  if (!any_broken_) return;
  any_broken_ = false;
  for (auto entry = connections_.begin(); entry != connections_.end();) {
    if (!entry->second.broken) {
      ++entry;
      continue;
    }
    const SocketAddress remote = entry->second.remote;
    Close(entry->second);
    entry = connections_.erase(entry);
    lost(remote);
  }
}

void TcpServer::Close(Connection& connection) {
  ++counters_.closed;
  const auto named = by_address_.find(connection.remote);
  if (named != by_address_.end() && named->second == connection.fd) by_address_.erase(named);
  close(connection.fd);
}

}  // namespace nexus
