// One shard with its sockets, thread and event loop: it reads a burst, runs the core, and sends the output.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "engine/shard/shard.h"
#include "io/command_queue.h"
#include "io/event_ring.h"
#include "io/relay_queue.h"
#include "io/tap_ring.h"
#include "io/tcp_server.h"
#include "io/udp_socket.h"

namespace nexus {

// The sockets of a shard: one UDP socket of each family and, optionally, TCP listeners on the same ports.
struct ShardSockets {
  std::vector<UdpSocket> udp;
  std::unique_ptr<TcpServer> tcp;
  Duration rest{0};  // see EngineConfig
};

class ShardThread {
 public:
  ShardThread(ShardConfig config, ShardSockets sockets, EventRing& events, TapRing& taps, RelayMesh& relays,
              size_t index);
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  bool Post(Command command) { return commands_.Push(std::move(command)); }
  // Sends a goodbye to the peers and ends the thread.
  void Stop();

  uint16_t port() const { return sockets_.front().local().port(); }
  // UDP first, then TCP.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // Peers of this shard, including those whose creation is queued: the creating call counts up, the thread
  // down.
  std::atomic<size_t> transports{0};
  std::atomic<size_t> rooms{0};

 private:
  void Run();
  void Rest();
  int WaitMillis(Timestamp now) const;
  void Watch(int fd, uint32_t events, uint64_t tag);
  void ReadSocket(UdpSocket& socket);
  void ReadBatches(UdpSocket& socket);
  void ForwardCollected();
  void ServeTcp();
  void SweepTcp();
  void RunCommands();
  void SendAll();
  void PassEvents();
  void PassTaps();
  void TakeRelays();
  void PassRelays();
  void CompleteStats(EngineStats& report) const;
  Timestamp Now();

  Shard shard_;
  std::vector<UdpSocket> sockets_;
  std::unique_ptr<TcpServer> tcp_;
  Timestamp next_tcp_sweep_{};
  std::vector<SocketAddress> addresses_;
  std::vector<bool> waits_writable_;
  EventRing& events_;
  TapRing& taps_;
  RelayMesh& relays_;
  const uint16_t index_;
  CommandQueue commands_;
  std::vector<Command> taken_;
  std::vector<Event> reported_;
  std::vector<TapBatch> recorded_;
  std::vector<RelayQueue::Batch> relayed_;
  WallClockOffset clock_;
  Timestamp now_{};
  Duration rest_;
  Timestamp woke_{};
  int epoll_ = -1;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace nexus
