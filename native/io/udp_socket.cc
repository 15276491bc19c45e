#include "io/udp_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/kernel_address.h"

namespace nexus {
namespace {

constexpr size_t kGroBuffer = 65'536;   // a coalesced burst
constexpr size_t kPlainBuffer = 2'048;  // above any MTU that media uses
constexpr size_t kGroSlots = 32;
constexpr size_t kPlainSlots = 64;
constexpr size_t kMessagesAtOnce = 256;
constexpr size_t kPiecesAtOnce = 4'096;
constexpr size_t kReceiveControl = CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(int));
constexpr size_t kSendControl = CMSG_SPACE(sizeof(uint16_t));

bool SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

void SetBuffer(int fd, int forced, int plain, int size) {
  // The forced form exceeds the system's limit, if the process has the privilege.
  if (!SetOption(fd, SOL_SOCKET, forced, size)) SetOption(fd, SOL_SOCKET, plain, size);
}

}  // namespace

struct UdpSocket::ReceiveArena {
  ReceiveArena(size_t slots, size_t buffer_size)
      : buffer_size(buffer_size),
        buffers(std::make_unique_for_overwrite<uint8_t[]>(slots * buffer_size)),
        headers(slots),
        pieces(slots),
        names(slots),
        control(slots) {
    for (size_t i = 0; i < slots; ++i) pieces[i] = {buffers.get() + i * buffer_size, buffer_size};
  }
  size_t buffer_size;
  std::unique_ptr<uint8_t[]> buffers;
  std::vector<mmsghdr> headers;
  std::vector<iovec> pieces;
  std::vector<sockaddr_storage> names;
  struct Control {
    alignas(cmsghdr) std::array<uint8_t, kReceiveControl> bytes;
  };
  std::vector<Control> control;
};

struct UdpSocket::SendArena {
  std::vector<mmsghdr> headers = std::vector<mmsghdr>(kMessagesAtOnce);
  std::vector<sockaddr_storage> names = std::vector<sockaddr_storage>(kMessagesAtOnce);
  std::vector<iovec> pieces = std::vector<iovec>(kPiecesAtOnce);
  struct Control {
    alignas(cmsghdr) std::array<uint8_t, kSendControl> bytes;
  };
  std::vector<Control> control = std::vector<Control>(kMessagesAtOnce);
};

std::optional<UdpSocket> UdpSocket::Bind(const SocketAddress& address, const UdpSocketOptions& options,
                                         int& error) {
  const int family = address.is_v6() ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    error = errno;
    return std::nullopt;
  }
  if (address.is_v6()) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);  // IPv4 has its own socket
  sockaddr_storage name{};
  const socklen_t length = ToKernel(address, name);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0) {
    error = errno;
    close(fd);
    return std::nullopt;
  }
  sockaddr_storage bound{};
  socklen_t bound_length = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bound_length);
  return UdpSocket(fd, FromKernel(bound), options);
}

UdpSocket::UdpSocket(int fd, SocketAddress local, const UdpSocketOptions& options)
    : fd_(fd), local_(local), options_(options), gso_(options.gso), backlog_(options.max_backlog_bytes) {
  SetBuffer(fd_, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
  SetBuffer(fd_, SO_SNDBUFFORCE, SO_SNDBUF, options.send_buffer);
  SetOption(fd_, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  gro_ = options.gro && SetOption(fd_, SOL_UDP, UDP_GRO, 1);
  slots_ = gro_ ? kGroSlots : kPlainSlots;
  receive_ = std::make_unique<ReceiveArena>(slots_, gro_ ? kGroBuffer : kPlainBuffer);
  send_ = std::make_unique<SendArena>();
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) close(fd_);
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      local_(other.local_),
      options_(other.options_),
      gso_(other.gso_),
      gro_(other.gro_),
      slots_(other.slots_),
      receive_(std::move(other.receive_)),
      send_(std::move(other.send_)),
      messages_(std::move(other.messages_)),
      backlog_(std::move(other.backlog_)),
      backlog_sent_packets_(other.backlog_sent_packets_),
      counters_(other.counters_) {}

int UdpSocket::ReceiveBatch() {
  ReceiveArena& arena = *receive_;
  for (size_t i = 0; i < slots_; ++i) {
    arena.headers[i].msg_hdr = {.msg_name = &arena.names[i],
                                .msg_namelen = sizeof arena.names[i],
                                .msg_iov = &arena.pieces[i],
                                .msg_iovlen = 1,
                                .msg_control = arena.control[i].bytes.data(),
                                .msg_controllen = kReceiveControl,
                                .msg_flags = 0};
  }
  const int count = recvmmsg(fd_, arena.headers.data(), static_cast<unsigned>(slots_), MSG_DONTWAIT, nullptr);
  return count < 0 ? 0 : count;
}

UdpSocket::Incoming UdpSocket::Describe(int index, const WallClockOffset& clock, Timestamp now) {
  const auto at = static_cast<size_t>(index);
  mmsghdr& entry = receive_->headers[at];
  Incoming incoming;
  if ((entry.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
    ++counters_.truncated;
    return incoming;
  }
  incoming.bytes = MutableByteView(receive_->buffers.get() + at * receive_->buffer_size, entry.msg_len);
  incoming.segment_size = std::max<size_t>(entry.msg_len, 1);
  incoming.from = FromKernel(receive_->names[at]);
  incoming.received = now;
  for (cmsghdr* control = CMSG_FIRSTHDR(&entry.msg_hdr); control != nullptr;
       control = CMSG_NXTHDR(&entry.msg_hdr, control)) {
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, CMSG_DATA(control), sizeof size);
      if (size > 0) incoming.segment_size = static_cast<size_t>(size);
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
      const int64_t wall_us = int64_t{stamp.tv_sec} * 1'000'000 + stamp.tv_nsec / 1'000;
      // The wall clock may have been set since the packet arrived. No packet waits in the queue for a second.
      const Timestamp received = clock.ToMonotonic(wall_us);
      if (received <= now && now - received < std::chrono::seconds(1)) incoming.received = received;
    }
  }
  return incoming;
}

void UdpSocket::Send(const RunBuilder& batch) {
  if (batch.empty()) return;
  ListMessages(batch, 0);
  // The backlog is sent first, to keep the order per destination.
  if (has_backlog()) {
    MoveToBacklog(batch, 0);
    return Flush();
  }
  const size_t done = SendMessages(batch);
  if (done < messages_.size()) MoveToBacklog(batch, done);
}

void UdpSocket::Flush() {
  if (!has_backlog()) return;
  ListMessages(backlog_, backlog_sent_packets_);
  const size_t done = SendMessages(backlog_);
  if (done == messages_.size()) {
    backlog_.Clear();
    backlog_sent_packets_ = 0;
    return;
  }
  for (size_t i = 0; i < done; ++i) backlog_sent_packets_ += messages_[i].count;
}

void UdpSocket::ListMessages(const RunBuilder& batch, size_t skip_packets) {
  messages_.clear();
  for (const TransmitRun& run : batch.runs()) {
    if (run.destination.is_v6() != is_v6() || run.destination.is_tcp()) continue;
    if (skip_packets >= run.count) {
      skip_packets -= run.count;
      continue;
    }
    uint32_t packet = run.first;
    uint32_t count = run.count;
    for (; skip_packets > 0; --skip_packets, --count) packet = batch.packet(packet).next;
    if (gso_) {
      messages_.push_back({&run, packet, count});
      continue;
    }
    for (; packet != kNoPacket; packet = batch.packet(packet).next) messages_.push_back({&run, packet, 1});
  }
}

size_t UdpSocket::FillHeaders(const RunBuilder& batch, size_t first) {
  SendArena& arena = *send_;
  size_t filled = 0;
  size_t pieces = 0;
  for (; first + filled < messages_.size() && filled < kMessagesAtOnce; ++filled) {
    const Message& message = messages_[first + filled];
    if (pieces + message.count > kPiecesAtOnce) break;
    msghdr& header = arena.headers[filled].msg_hdr;
    header = {};
    header.msg_name = &arena.names[filled];
    header.msg_namelen = ToKernel(message.run->destination, arena.names[filled]);
    header.msg_iov = &arena.pieces[pieces];
    const size_t first_piece = pieces;
    uint32_t packet = message.packet;
    for (uint32_t i = 0; i < message.count; ++i) {
      const TransmitPacket& piece = batch.packet(packet);
      packet = piece.next;
      // Packets that lie end to end in memory share one iovec.
      if (pieces > first_piece) {
        iovec& last = arena.pieces[pieces - 1];
        if (static_cast<const uint8_t*>(last.iov_base) + last.iov_len == piece.bytes) {
          last.iov_len += piece.size;
          continue;
        }
      }
      arena.pieces[pieces++] = {const_cast<uint8_t*>(piece.bytes), piece.size};
    }
    header.msg_iovlen = pieces - first_piece;
    if (message.count < 2) continue;  // some kernels refuse the option on a single segment
    header.msg_control = arena.control[filled].bytes.data();
    header.msg_controllen = kSendControl;
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    std::memcpy(CMSG_DATA(control), &message.run->segment_size, sizeof(uint16_t));
  }
  return filled;
}

size_t UdpSocket::SendMessages(const RunBuilder& batch) {
  size_t position = 0;
  while (position < messages_.size()) {
    const size_t filled = FillHeaders(batch, position);
    const int sent = options_.send(fd_, send_->headers.data(), static_cast<unsigned>(filled), MSG_DONTWAIT);
    if (sent > 0) {
      CountSent(position, static_cast<size_t>(sent));
      position += static_cast<size_t>(sent);
    } else if (!HandleSendError(batch, position, errno)) {
      break;
    }
  }
  return position;
}

// Handles an error of the first message at `position`. False if the socket is full: try again later.
bool UdpSocket::HandleSendError(const RunBuilder& batch, size_t& position, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return false;
  if (error == EINTR) return true;
  if ((error == EIO || error == EINVAL) && messages_[position].count > 1) {
    // This path has no GSO (no checksum offload, or an old kernel): send single packets from now on.
    gso_ = false;
    ++counters_.gso_fallbacks;
    SplitFrom(batch, position);
    return true;
  }
  counters_.send_errors += messages_[position].count;
  ++position;
  return true;
}

void UdpSocket::SplitFrom(const RunBuilder& batch, size_t first) {
  std::vector<Message> singles;
  for (size_t i = first; i < messages_.size(); ++i) {
    uint32_t packet = messages_[i].packet;
    for (uint32_t k = 0; k < messages_[i].count; ++k) {
      singles.push_back({messages_[i].run, packet, 1});
      packet = batch.packet(packet).next;
    }
  }
  messages_.resize(first);
  messages_.insert(messages_.end(), singles.begin(), singles.end());
}

void UdpSocket::CountSent(size_t first, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const Message& message = messages_[first + i];
    counters_.datagrams_out += message.count;
    counters_.bytes_out += send_->headers[i].msg_len;
    if (message.count < 2) continue;
    ++counters_.gso_runs;
    counters_.gso_segments += message.count;
  }
}

void UdpSocket::MoveToBacklog(const RunBuilder& batch, size_t first) {
  for (size_t i = first; i < messages_.size(); ++i) {
    RunCursor cursor;
    uint32_t packet = messages_[i].packet;
    for (uint32_t k = 0; k < messages_[i].count; ++k) {
      const TransmitPacket& piece = batch.packet(packet);
      if (backlog_.Append(cursor, messages_[i].run->destination, ByteView(piece.bytes, piece.size))) {
        ++counters_.backlogged;
      } else {
        ++counters_.backlog_drops;
      }
      packet = piece.next;
    }
  }
}

}  // namespace nexus
