// UDP sockets of the limit benchmark (limit_bench.cc): batched receiving with GRO, batched sending with GSO,
// and a thread that drains the receiving end.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus::limit {

inline constexpr uint32_t kFirstSubscriber = 0x7F020000;  // 127.2.0.0: each subscriber its own address

class Socket {
 public:
  // Binds to 0.0.0.0 or 127.0.0.1, on any port.
  Socket(bool any_address, bool gro);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }
  sockaddr_in At(uint32_t ip) const;

 private:
  int fd_ = -1;
  uint16_t port_ = 0;
};

// Messages for one sendmmsg, each a run of equal segments that lie end to end in memory.
class Batch {
 public:
  static constexpr size_t kMessages = 256;
  explicit Batch(int fd) : fd_(fd) {}
  void Add(const sockaddr_in& to, const uint8_t* bytes, size_t size, size_t segment);
  void Send();

 private:
  struct alignas(cmsghdr) Control {
    std::array<uint8_t, CMSG_SPACE(sizeof(uint16_t))> bytes;
  };
  int fd_;
  size_t count_ = 0;
  std::array<mmsghdr, kMessages> messages_;
  std::array<iovec, kMessages> pieces_;
  std::array<sockaddr_in, kMessages> names_;
  std::array<Control, kMessages> control_;
};

// recvmmsg with UDP GRO, like the engine's socket, but without timestamps.
class Receiver {
 public:
  static constexpr size_t kSlots = 16;
  explicit Receiver(int fd);
  // Calls `handle(MutableByteView)` for each datagram; returns the number of datagrams.
  template <class Handle>
  size_t Read(Handle&& handle) {
    const int count = Fill();
    size_t datagrams = 0;
    for (int i = 0; i < count; ++i) {
      const MutableByteView bytes(slots_.get() + static_cast<size_t>(i) * kSlotSize,
                                  messages_[static_cast<size_t>(i)].msg_len);
      const size_t segment = SegmentSize(static_cast<size_t>(i));
      for (size_t at = 0; at < bytes.size(); at += segment, ++datagrams) {
        handle(bytes.subspan(at, std::min(segment, bytes.size() - at)));
      }
    }
    return datagrams;
  }

 private:
  static constexpr size_t kSlotSize = 65'536;
  struct alignas(cmsghdr) Control {
    std::array<uint8_t, CMSG_SPACE(sizeof(int))> bytes;
  };
  int Fill();
  size_t SegmentSize(size_t index);

  int fd_;
  std::unique_ptr<uint8_t[]> slots_ = std::make_unique<uint8_t[]>(kSlots * kSlotSize);
  std::array<mmsghdr, kSlots> messages_;
  std::array<iovec, kSlots> pieces_;
  std::array<Control, kSlots> control_;
};

// Reads, counts and discards everything that arrives at `fd`, until `stop`.
void Drain(int fd, const std::atomic<bool>& stop, std::atomic<size_t>& drained);

}  // namespace nexus::limit
