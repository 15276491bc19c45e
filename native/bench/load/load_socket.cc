#include "bench/load/load_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/kernel_address.h"

namespace nexus::load {
namespace {

constexpr size_t kSlots = 64;
constexpr size_t kGroBuffer = 65'536;
constexpr size_t kPlainBuffer = 2'048;
constexpr size_t kMessages = 256;
constexpr size_t kPieces = 8'192;
constexpr size_t kReceiveControl = CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(int)) +
                                   CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(uint32_t));
constexpr size_t kSendControl = CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(uint16_t));

template <size_t size>
struct Control {
  alignas(cmsghdr) std::array<uint8_t, size> bytes;
};

bool SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

}  // namespace

struct LoadSocket::Arena {
  explicit Arena(size_t buffer)
      : buffer_size(buffer), buffers(std::make_unique_for_overwrite<uint8_t[]>(kSlots * buffer)) {
    for (size_t i = 0; i < kSlots; ++i) in_pieces[i] = {buffers.get() + i * buffer, buffer};
  }
  size_t buffer_size;
  std::unique_ptr<uint8_t[]> buffers;
  std::array<mmsghdr, kSlots> in;
  std::array<iovec, kSlots> in_pieces;
  std::array<sockaddr_storage, kSlots> in_names;
  std::array<Control<kReceiveControl>, kSlots> in_control;
  std::array<mmsghdr, kMessages> out;
  std::array<uint32_t, kMessages> out_runs;
  std::array<iovec, kPieces> out_pieces;
  std::array<sockaddr_storage, kMessages> out_names;
  std::array<Control<kSendControl>, kMessages> out_control;
};

std::optional<LoadSocket> LoadSocket::Open(const LoadSocketOptions& options, int& error) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_ANY);
  name.sin_port = htons(options.port);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    error = errno;
    if (fd >= 0) close(fd);
    return std::nullopt;
  }
  socklen_t length = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
  return LoadSocket(fd, ntohs(name.sin_port), options);
}

LoadSocket::LoadSocket(int fd, uint16_t port, const LoadSocketOptions& options)
    : fd_(fd), port_(port), options_(options), slots_(kSlots) {
  if (!SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.buffer))
    SetOption(fd, SOL_SOCKET, SO_RCVBUF, options.buffer);
  if (!SetOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, options.buffer))
    SetOption(fd, SOL_SOCKET, SO_SNDBUF, options.buffer);
  SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
  SetOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  SetOption(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  const bool gro = options.gro && SetOption(fd, SOL_UDP, UDP_GRO, 1);
  arena_ = std::make_unique<Arena>(gro ? kGroBuffer : kPlainBuffer);
}

LoadSocket::LoadSocket(LoadSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      port_(other.port_),
      options_(other.options_),
      slots_(other.slots_),
      arena_(std::move(other.arena_)),
      counters_(other.counters_) {}

LoadSocket::~LoadSocket() {
  if (fd_ >= 0) close(fd_);
}

SocketAddress LoadSocket::AddressOf(uint32_t peer) const {
  const uint32_t ip = options_.first_ip + peer;
  return SocketAddress::V4({static_cast<uint8_t>(ip >> 24), static_cast<uint8_t>(ip >> 16),
                            static_cast<uint8_t>(ip >> 8), static_cast<uint8_t>(ip)},
                           port_);
}

int LoadSocket::ReceiveBatch() {
  Arena& arena = *arena_;
  for (size_t i = 0; i < kSlots; ++i) {
    arena.in[i].msg_hdr = {.msg_name = &arena.in_names[i],
                           .msg_namelen = sizeof arena.in_names[i],
                           .msg_iov = &arena.in_pieces[i],
                           .msg_iovlen = 1,
                           .msg_control = arena.in_control[i].bytes.data(),
                           .msg_controllen = kReceiveControl,
                           .msg_flags = 0};
  }
  const int count = recvmmsg(fd_, arena.in.data(), kSlots, MSG_DONTWAIT, nullptr);
  if (count > 0) counters_.messages_in += static_cast<uint64_t>(count);
  return std::max(count, 0);
}

LoadSocket::Incoming LoadSocket::Describe(int index, const WallClockOffset& clock, Timestamp now) {
  const auto at = static_cast<size_t>(index);
  mmsghdr& entry = arena_->in[at];
  Incoming incoming;
  incoming.bytes = MutableByteView(arena_->buffers.get() + at * arena_->buffer_size, entry.msg_len);
  incoming.segment = std::max<size_t>(entry.msg_len, 1);
  incoming.from = FromKernel(arena_->in_names[at]);
  incoming.received = now;
  for (cmsghdr* c = CMSG_FIRSTHDR(&entry.msg_hdr); c != nullptr; c = CMSG_NXTHDR(&entry.msg_hdr, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, CMSG_DATA(c), sizeof size);
      if (size > 0) incoming.segment = static_cast<size_t>(size);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      incoming.peer = ntohl(info.ipi_addr.s_addr) - options_.first_ip;
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
      const Timestamp received = clock.ToMonotonic(int64_t{stamp.tv_sec} * 1'000'000 + stamp.tv_nsec / 1'000);
      if (received <= now && now - received < std::chrono::seconds(5)) incoming.received = received;
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      uint32_t lost = 0;
      std::memcpy(&lost, CMSG_DATA(c), sizeof lost);
      counters_.receive_overflow = lost;
    }
  }
  return incoming;
}

void LoadSocket::Send(const RunBuilder& batch, const std::vector<uint32_t>& owners) {
  Arena& arena = *arena_;
  const std::vector<TransmitRun>& runs = batch.runs();
  size_t next = 0;
  while (next < runs.size()) {
    size_t filled = 0;
    size_t pieces = 0;
    for (; filled < kMessages && next + filled < runs.size(); ++filled) {
      const TransmitRun& run = runs[next + filled];
      if (pieces + run.count > kPieces) break;
      msghdr& header = arena.out[filled].msg_hdr;
      header = {};
      header.msg_name = &arena.out_names[filled];
      header.msg_namelen = ToKernel(run.destination, arena.out_names[filled]);
      header.msg_iov = &arena.out_pieces[pieces];
      header.msg_iovlen = run.count;
      for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
        arena.out_pieces[pieces++] = {const_cast<uint8_t*>(batch.packet(i).bytes), batch.packet(i).size};
      }
      header.msg_control = arena.out_control[filled].bytes.data();
      header.msg_controllen = run.count > 1 ? kSendControl : CMSG_SPACE(sizeof(in_pktinfo));
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = IPPROTO_IP;
      c->cmsg_type = IP_PKTINFO;
      c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
      in_pktinfo info{};
      info.ipi_spec_dst.s_addr = htonl(options_.first_ip + owners[next + filled]);
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
      if (run.count < 2) continue;
      c = CMSG_NXTHDR(&header, c);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      std::memcpy(CMSG_DATA(c), &run.segment_size, sizeof run.segment_size);
    }
    const int sent = sendmmsg(fd_, arena.out.data(), static_cast<unsigned>(filled), MSG_DONTWAIT);
    if (sent <= 0) {
      if (errno == EINTR) continue;
      // No GSO on this path, or the socket is full: send packet by packet; those that fail are lost and
      // counted.
      SendSingly(batch, runs[next], owners[next]);
      ++next;
      continue;
    }
    for (size_t i = 0; i < static_cast<size_t>(sent); ++i) {
      counters_.datagrams_out += runs[next + i].count;
      counters_.gso_runs += runs[next + i].count > 1 ? 1 : 0;
    }
    next += static_cast<size_t>(sent);
  }
}

void LoadSocket::SendSingly(const RunBuilder& batch, const TransmitRun& run, uint32_t owner) {
  for (uint32_t i = run.first; i != kNoPacket; i = batch.packet(i).next) {
    sockaddr_storage name{};
    iovec piece = {const_cast<uint8_t*>(batch.packet(i).bytes), batch.packet(i).size};
    Control<CMSG_SPACE(sizeof(in_pktinfo))> control;
    msghdr header{};
    header.msg_name = &name;
    header.msg_namelen = ToKernel(run.destination, name);
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(options_.first_ip + owner);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
    if (sendmsg(fd_, &header, MSG_DONTWAIT) < 0) {
      ++counters_.send_errors;
    } else {
      ++counters_.datagrams_out;
    }
  }
}

}  // namespace nexus::load
