// One UDP socket for thousands of peers, each with its own IPv4 address: the kernel reports the destination
// address of each datagram (IP_PKTINFO) and takes the source address of each run. So the whole load shares
// one recvmmsg and one sendmmsg, with GRO and GSO, and an SFU that distinguishes peers by address finds all
// of them.
//
// On loopback all of 127.0.0.0/8 is local. In a namespace: `ip route add local 10.128.0.0/9 dev lo`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/socket_address.h"
#include "engine/transmit/run_builder.h"
#include "io/clock.h"

namespace nexus::load {

struct LoadSocketOptions {
  uint32_t first_ip = 0x7F010000;  // 127.1.0.0: peer 0's address, in host order
  uint16_t port = 0;               // 0: any
  bool gro = true;
  int buffer = 32 << 20;
};

struct LoadSocketCounters {
  uint64_t datagrams_in = 0;
  uint64_t messages_in = 0;  // messages from recvmmsg: fewer than datagrams if GRO merged some
  uint64_t datagrams_out = 0;
  uint64_t gso_runs = 0;
  uint64_t send_errors = 0;       // packets
  uint64_t receive_overflow = 0;  // dropped by the kernel: the generator was too slow
};

class LoadSocket {
 public:
  static std::optional<LoadSocket> Open(const LoadSocketOptions& options, int& error);
  ~LoadSocket();
  LoadSocket(LoadSocket&& other) noexcept;
  LoadSocket& operator=(LoadSocket&&) = delete;

  int fd() const { return fd_; }
  SocketAddress AddressOf(uint32_t peer) const;

  // Reads one batch; calls `handle(uint32_t peer, MutableByteView, const SocketAddress& from, Timestamp
  // received)` for each datagram. False if there is nothing more to read.
  template <class Handle>
  bool Receive(const WallClockOffset& clock, Timestamp now, Handle&& handle) {
    const int count = ReceiveBatch();
    for (int i = 0; i < count; ++i) {
      const Incoming incoming = Describe(i, clock, now);
      for (size_t at = 0; at < incoming.bytes.size(); at += incoming.segment) {
        const size_t size = std::min(incoming.segment, incoming.bytes.size() - at);
        ++counters_.datagrams_in;
        handle(incoming.peer, incoming.bytes.subspan(at, size), incoming.from, incoming.received);
      }
    }
    return count == static_cast<int>(slots_);
  }
  // `owners[i]` is the peer that run i belongs to.
  void Send(const RunBuilder& batch, const std::vector<uint32_t>& owners);
  const LoadSocketCounters& counters() const { return counters_; }

 private:
  struct Incoming {
    uint32_t peer = 0;
    MutableByteView bytes;
    size_t segment = 1;
    SocketAddress from;
    Timestamp received;
  };
  struct Arena;
  LoadSocket(int fd, uint16_t port, const LoadSocketOptions& options);
  int ReceiveBatch();
  Incoming Describe(int index, const WallClockOffset& clock, Timestamp now);
  void SendSingly(const RunBuilder& batch, const TransmitRun& run, uint32_t owner);

  int fd_;
  uint16_t port_;
  LoadSocketOptions options_;
  size_t slots_;
  std::unique_ptr<Arena> arena_;
  LoadSocketCounters counters_;
};

}  // namespace nexus::load
