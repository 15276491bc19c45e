// A room on its shards, the network before it and the peers that are attached to it, run in emulated time
// until something is true.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/shard/shard.h"
#include "testing/emulated_network.h"
#include "testing/emulated_peer.h"
#include "testing/events_of.h"
#include "testing/tap_reading.h"

namespace nexus::testing {

struct EmulatedCallOptions {
  uint64_t seed = 1;
  ShardConfig shard;
  size_t shards = 1;    // the room is spread over all of them; its home is the first
  bool batches = true;  // datagrams that arrive at one moment are one batch
  // Called when time moves: sets the wall clock that OpenSSL reads.
  std::function<void(Timestamp)> on_time;
  // Called before (true) and after media passes through the shard: RTP and RTCP in, and the batch's end.
  std::function<void(bool)> around_media;
};

class EmulatedRoom {
 public:
  Shard& shard(size_t index = 0) { return *shards_[index]; }
  size_t shard_count() const { return shards_.size(); }
  EmulatedNetwork& network() { return network_; }
  Timestamp now() const { return now_; }
  RoomId room() const { return RoomId{1}; }
  const SocketAddress& server(size_t shard = 0) const { return servers_[shard]; }
  // The credentials that the server has for one transport.
  static IceCredentials ServerIce(TransportId transport);
  // The server as its answers describe it, under the credentials of one transport.
  ServerDescription Describe(IceCredentials local, size_t shard = 0) const {
    return {std::move(local), options_.shard.certificate->fingerprint(), servers_[shard]};
  }
  void Command(nexus::Command command, size_t shard = 0) { shards_[shard]->HandleCommand(command, now_); }
  uint64_t relayed_bytes_from(size_t shard) const { return relayed_bytes_.at(shard); }
  // While set, relay messages wait.
  bool relays_stopped = false;
  // An address that is not in use.
  SocketAddress NewAddress();

  // Repeats a task, first after one interval.
  void Every(Duration interval, std::function<void()> task);
  void RunFor(Duration duration) {
    RunUntil(now_ + duration, [] { return false; });
  }
  // False when it has not become true within the time.
  bool RunUntil(Duration at_most, const std::function<bool()>& done) {
    return RunUntil(now_ + at_most, done);
  }
  bool RunUntilConnected(Duration at_most = std::chrono::seconds(20));

  std::vector<Event> events;
  // Records of taps, fetched as they come while `read_taps` is set.
  std::map<TapId, TapReading> taps;
  bool read_taps = true;
  uint64_t datagrams_from_server = 0;
  uint64_t runs_of_several = 0;
  uint64_t runs = 0;

  template <class E>
  std::vector<E> EventsOf() const {
    return testing::EventsOf<E>(events);
  }
  // The states of one transport, in order.
  std::vector<TransportState> StatesOf(TransportId transport) const;
  // The last change of one transport; nothing before the first.
  std::optional<TransportChanged> LastChangeOf(TransportId transport) const;

 protected:
  explicit EmulatedRoom(EmulatedCallOptions options);

  // The peer takes part until DetachAll; its datagrams are those to and from its address.
  void Attach(EmulatedPeer& peer, TransportId transport, size_t shard);
  // Datagrams to this address reach the peer too.
  void Route(const SocketAddress& address, EmulatedPeer& peer) { by_address_[address] = &peer; }
  void DetachAll();
  uint64_t seed() const { return options_.seed; }
  // An id that belongs to the shard.
  uint32_t NewId(size_t shard);
  Ssrc NewSsrc() { return Ssrc{++next_ssrc_}; }

 private:
  struct Task {
    Timestamp at;
    Duration interval;
    std::function<void()> run;
  };
  struct Attached {
    EmulatedPeer* peer;
    TransportId transport;
    size_t shard;
  };
  bool RunUntil(Timestamp end, const std::function<bool()>& done);
  Timestamp NextStep() const;
  void Step();
  void Deliver(Datagram& datagram);
  void EndBatch();
  void Collect();
  void CollectFrom(size_t shard);
  void PassRelays();

  EmulatedCallOptions options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  EmulatedNetwork network_;
  std::vector<uint64_t> relayed_bytes_;  // by shard
  std::vector<SocketAddress> servers_;   // by shard
  Timestamp now_ = TimestampFromMicros(1'000'000'000);
  std::vector<Task> tasks_;
  std::vector<Attached> peers_;
  std::unordered_map<SocketAddress, EmulatedPeer*> by_address_;
  uint32_t next_id_ = 0;
  uint32_t next_ssrc_ = 0x10000;
  uint32_t next_address_ = 0;
};

}  // namespace nexus::testing
