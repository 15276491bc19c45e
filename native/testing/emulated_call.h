// A shard, its peers and the network between them, run in emulated time until something is true.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/shard/shard.h"
#include "testing/emulated_network.h"
#include "testing/tap_reading.h"
#include "testing/test_peer.h"

namespace nexus::testing {

// One person: the peer and what the shard calls its parts.
struct Member {
  std::unique_ptr<TestPeer> peer;
  TransportId transport;
  size_t shard = 0;
  PublishedStream* video = nullptr;
  std::vector<PublishedStream*> encodings;  // of a simulcast video, low to high
  PublishedStream* audio = nullptr;
  TrackId video_track;
  TrackId audio_track;
  struct Slot {
    SlotId id;
    ReceivedStream* stream = nullptr;
  };
  std::vector<Slot> slots;
};

struct EmulatedCallOptions {
  uint64_t seed = 1;
  ShardConfig shard;
  size_t shards = 1;    // the room is spread over all of them, home on the first
  bool batches = true;  // what arrives at one moment is one batch
  // Called when time moves: the wall clock that OpenSSL looks at.
  std::function<void(Timestamp)> on_time;
  // Called before (true) and behind media's way through the shard: RTP and RTCP in, and the batch's end.
  std::function<void(bool)> around_media;
};

class EmulatedCall {
 public:
  explicit EmulatedCall(EmulatedCallOptions options);

  Shard& shard(size_t index = 0) { return *shards_[index]; }
  EmulatedNetwork& network() { return network_; }
  Timestamp now() const { return now_; }
  RoomId room() const { return RoomId{1}; }
  // The server as its answers describe it, under the credentials of one transport.
  ServerDescription Describe(IceCredentials local, size_t shard = 0) const {
    return {std::move(local), options_.shard.certificate->fingerprint(), servers_[shard]};
  }

  // A member that has a transport and is on its way to connect.
  Member& Join(TestPeerOptions options = {}, size_t shard = 0);
  // All peers go, without a word to the shard. Only while none of them has media started.
  void ForgetMembers();
  void Publish(Member& member, MediaKind kind, bool muted = false, bool announce_ssrc = true);
  // Neither SDP nor the packets say whose they are: only the payload type can tell (RFC 9143 section 9.2).
  PublishedStream& PublishUnnamed(Member& member, MediaKind kind);
  // A video of several encodings, low to high: packets a frame, and bytes of payload a packet.
  void PublishSimulcast(Member& member, const std::vector<std::pair<size_t, size_t>>& encodings,
                        std::vector<PictureSize> sizes = {});
  Member::Slot& AddSlot(Member& member, MediaKind kind, int pair = 0, bool rtx = true);
  void Command(nexus::Command command, size_t shard = 0) { shards_[shard]->HandleCommand(command, now_); }
  size_t shard_count() const { return shards_.size(); }
  uint64_t relayed_bytes_from(size_t shard) const { return relayed_bytes_.at(shard); }
  // Relay messages do not arrive while this is set; they wait.
  bool relays_stopped = false;
  // The member's datagrams come from there from now on, and those to there reach it, beside those to where it
  // was.
  void MoveTo(Member& member, const SocketAddress& address);
  // An address that nobody has yet.
  SocketAddress NewAddress();

  // Does something again and again, first after one interval.
  void Every(Duration interval, std::function<void()> task);
  // A camera at 25 frames a second and a microphone with 20 ms packets, with reports.
  void StartMedia(Member& member, uint8_t audio_level = 20);

  void RunFor(Duration duration) {
    RunUntil(now_ + duration, [] { return false; });
  }
  // False when it has not become true within the time.
  bool RunUntil(Duration at_most, const std::function<bool()>& done) {
    return RunUntil(now_ + at_most, done);
  }
  bool RunUntilConnected(Duration at_most = std::chrono::seconds(20));

  // CSRC by payload mark, for ReceivedStream::Faults.
  const std::map<uint32_t, uint32_t>& csrcs() const { return csrc_of_mark_; }
  std::vector<std::unique_ptr<Member>> members;
  std::vector<Event> events;
  // What taps have recorded, fetched as it comes unless somebody reads slowly.
  std::map<TapId, TapReading> taps;
  bool read_taps = true;
  uint64_t datagrams_from_server = 0;
  uint64_t runs_of_several = 0;
  uint64_t runs = 0;

  template <class E>
  std::vector<E> EventsOf() const {
    std::vector<E> found;
    for (const Event& event : events) {
      if (const auto* wanted = std::get_if<E>(&event)) found.push_back(*wanted);
    }
    return found;
  }

 private:
  struct Task {
    Timestamp at;
    Duration interval;
    std::function<void()> run;
  };
  bool RunUntil(Timestamp end, const std::function<bool()>& done);
  Timestamp NextStep() const;
  void Step();
  void Deliver(Datagram& datagram);
  void EndBatch();
  void Collect();
  void CollectFrom(size_t shard);
  void PassRelays();
  PublishedStream& Publish(Member& member, PublishedStreamOptions options, TrackSettings settings);
  // Of the ids that belong to that shard.
  uint32_t NewId(size_t shard);

  EmulatedCallOptions options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  EmulatedNetwork network_;
  std::vector<uint64_t> relayed_bytes_;
  std::vector<SocketAddress> servers_;  // one for each shard
  Timestamp now_ = TimestampFromMicros(1'000'000'000);
  std::vector<Task> tasks_;
  std::map<uint32_t, uint32_t> csrc_of_mark_;
  std::unordered_map<SocketAddress, TestPeer*> by_address_;
  uint32_t next_id_ = 0;
  uint32_t next_ssrc_ = 0x10000;
  uint32_t next_address_ = 0;
};

}  // namespace nexus::testing
