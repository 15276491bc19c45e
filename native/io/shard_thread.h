// One shard with its sockets, its thread and its loop: read a burst, let the core work, send all that came of
// it.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "engine/room/shard.h"
#include "io/command_queue.h"
#include "io/event_ring.h"
#include "io/relay_queue.h"
#include "io/tap_ring.h"
#include "io/tcp_server.h"
#include "io/udp_socket.h"

namespace nexus {

// Where a shard is reached: one UDP socket of each family, and the same ports over TCP where that is wanted.
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
  // Says goodbye to the peers, sends that, ends the thread.
  void Stop();

  uint16_t port() const { return sockets_.front().local().port(); }
  // UDP first, then TCP.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // Peers that this shard has or will have: counted up by who creates, down by the thread when one ended.
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
  void CompleteReport(EngineReport& report) const;
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
  std::vector<Event> told_;
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
