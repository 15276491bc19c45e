#include "bench/limit/limit_sockets.h"

#include <netinet/udp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nexus::limit {
namespace {

constexpr int kBuffer = 32 << 20;

void SetOption(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

}  // namespace

Socket::Socket(bool any_address, bool gro) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(any_address ? INADDR_ANY : INADDR_LOOPBACK);
  socklen_t length = sizeof name;
  if (fd_ < 0 || bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    std::perror("socket");
    std::exit(1);
  }
  port_ = ntohs(name.sin_port);
  SetOption(fd_, SOL_SOCKET, SO_RCVBUFFORCE, kBuffer);
  SetOption(fd_, SOL_SOCKET, SO_SNDBUFFORCE, kBuffer);
  if (gro) SetOption(fd_, SOL_UDP, UDP_GRO, 1);
}

Socket::~Socket() { close(fd_); }

sockaddr_in Socket::At(uint32_t ip) const {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(ip);
  name.sin_port = htons(port_);
  return name;
}

void Batch::Add(const sockaddr_in& to, const uint8_t* bytes, size_t size, size_t segment) {
  names_[count_] = to;
  pieces_[count_] = {const_cast<uint8_t*>(bytes), size};
  msghdr& header = messages_[count_].msg_hdr;
  header = {};
  header.msg_name = &names_[count_];
  header.msg_namelen = sizeof(sockaddr_in);
  header.msg_iov = &pieces_[count_];
  header.msg_iovlen = 1;
  if (size > segment) {
    header.msg_control = control_[count_].bytes.data();
    header.msg_controllen = control_[count_].bytes.size();
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const auto cut = static_cast<uint16_t>(segment);
    std::memcpy(CMSG_DATA(control), &cut, sizeof cut);
  }
  if (++count_ == kMessages) Send();
}

void Batch::Send() {
  size_t sent = 0;
  while (sent < count_) {
    const int done = sendmmsg(fd_, messages_.data() + sent, static_cast<unsigned>(count_ - sent), 0);
    if (done < 0 && errno != EINTR) {
      std::perror("sendmmsg");
      std::exit(1);
    }
    sent += done > 0 ? static_cast<size_t>(done) : 0;
  }
  count_ = 0;
}

Receiver::Receiver(int fd) : fd_(fd) {
  for (size_t i = 0; i < kSlots; ++i) pieces_[i] = {slots_.get() + i * kSlotSize, kSlotSize};
}

int Receiver::Fill() {
  for (size_t i = 0; i < kSlots; ++i) {
    msghdr& header = messages_[i].msg_hdr;
    header = {};
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
    header.msg_control = control_[i].bytes.data();
    header.msg_controllen = control_[i].bytes.size();
  }
  return recvmmsg(fd_, messages_.data(), kSlots, MSG_DONTWAIT, nullptr);
}

size_t Receiver::SegmentSize(size_t index) {
  msghdr& header = messages_[index].msg_hdr;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(control), sizeof size);
    if (size > 0) return static_cast<size_t>(size);
  }
  return std::max<size_t>(messages_[index].msg_len, 1);
}

void Drain(int fd, const std::atomic<bool>& stop, std::atomic<size_t>& drained) {
  Receiver receiver(fd);
  while (!stop.load(std::memory_order_relaxed))
    drained.fetch_add(receiver.Read([](MutableByteView) {}), std::memory_order_relaxed);
}

}  // namespace nexus::limit
