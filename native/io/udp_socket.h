// A bound UDP socket with batched I/O: recvmmsg with GRO and kernel timestamps, sendmmsg with GSO runs.
// Packets that the kernel does not accept at once wait in order in a bounded backlog.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/socket_address.h"
#include "engine/transmit/run_builder.h"
#include "io/clock.h"

namespace nexus {

struct UdpSocketOptions {
  bool gso = true;
  bool gro = true;
  int receive_buffer = 8 << 20;  // the kernel may give less
  int send_buffer = 8 << 20;
  size_t max_backlog_bytes = 4u << 20;
  // The system call that sends. Tests replace it, because a kernel cannot be made to refuse at will.
  int (*send)(int fd, mmsghdr* messages, unsigned count, int flags) = &::sendmmsg;
};

struct UdpSocketCounters {
  uint64_t datagrams_in = 0;
  uint64_t bytes_in = 0;
  uint64_t truncated = 0;
  uint64_t datagrams_out = 0;
  uint64_t bytes_out = 0;
  uint64_t gso_runs = 0;      // sent as one message
  uint64_t gso_segments = 0;  // packets in those runs
  uint64_t gso_fallbacks = 0;
  uint64_t backlogged = 0;     // packets that entered the backlog
  uint64_t backlog_drops = 0;  // packets dropped because the backlog was full
  uint64_t send_errors = 0;    // packets that the kernel refused for good
};

class UdpSocket {
 public:
  // Nothing if the address cannot be bound; `error` is then `errno`.
  static std::optional<UdpSocket> Bind(const SocketAddress& address, const UdpSocketOptions& options,
                                       int& error);
  ~UdpSocket();
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&&) = delete;

  int fd() const { return fd_; }
  const SocketAddress& local() const { return local_; }
  bool is_v6() const { return local_.is_v6(); }

  // Reads one batch; calls `handle(MutableByteView, const SocketAddress& from, Timestamp received)` for each
  // datagram. Returns false if there is nothing more to read.
  template <class Handle>
  bool Receive(const WallClockOffset& clock, Timestamp now, Handle&& handle) {
    const int count = ReceiveBatch();
    for (int i = 0; i < count; ++i) {
      const Incoming incoming = Describe(i, clock, now);
      for (size_t at = 0; at < incoming.bytes.size(); at += incoming.segment_size) {
        const size_t size = std::min(incoming.segment_size, incoming.bytes.size() - at);
        ++counters_.datagrams_in;
        handle(incoming.bytes.subspan(at, size), incoming.from, incoming.received);
      }
      counters_.bytes_in += incoming.bytes.size();
    }
    return count == static_cast<int>(slots_);
  }

  // Sends the runs of this socket's address family.
  void Send(const RunBuilder& batch);
  // Sends from the backlog once the socket is writable again.
  void Flush();
  bool has_backlog() const { return !backlog_.empty(); }
  bool gso_enabled() const { return gso_; }
  const UdpSocketCounters& counters() const { return counters_; }

 private:
  struct Incoming {
    MutableByteView bytes;
    size_t segment_size = 1;
    SocketAddress from;
    Timestamp received;
  };
  struct ReceiveArena;
  struct SendArena;

  UdpSocket(int fd, SocketAddress local, const UdpSocketOptions& options);
  int ReceiveBatch();
  Incoming Describe(int index, const WallClockOffset& clock, Timestamp now);
  // One entry of sendmmsg: a run, or a single packet if GSO is off.
  struct Message {
    const TransmitRun* run = nullptr;
    uint32_t packet = kNoPacket;
    uint32_t count = 0;
  };
  void ListMessages(const RunBuilder& batch, size_t skip_packets);
  // Sends the listed messages; returns how many the kernel accepted or refused for good.
  size_t SendMessages(const RunBuilder& batch);
  size_t FillHeaders(const RunBuilder& batch, size_t first);
  bool HandleSendError(const RunBuilder& batch, size_t& position, int error);
  void SplitFrom(const RunBuilder& batch, size_t first);
  void CountSent(size_t first, size_t count);
  void MoveToBacklog(const RunBuilder& batch, size_t first);

  int fd_ = -1;
  SocketAddress local_;
  UdpSocketOptions options_;
  bool gso_;
  bool gro_ = false;
  size_t slots_ = 0;
  std::unique_ptr<ReceiveArena> receive_;
  std::unique_ptr<SendArena> send_;
  std::vector<Message> messages_;
  RunBuilder backlog_;
  size_t backlog_sent_packets_ = 0;
  UdpSocketCounters counters_;
};

}  // namespace nexus
