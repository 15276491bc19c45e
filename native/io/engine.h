// The engine's interface to its owner: calls that return at once with ids, and a queue of events. It knows
// the shard of each id and generates every value that must be unique or unguessable; the shards do the rest.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/command.h"
#include "engine/control/event.h"
#include "engine/control/shard_config.h"
#include "io/candidates.h"
#include "io/event_ring.h"
#include "io/relay_queue.h"
#include "io/room_spread.h"
#include "io/shard_thread.h"
#include "io/tap_ring.h"

namespace nexus {

struct EngineConfig {
  size_t shards = 1;
  std::vector<SocketAddress> bind_addresses;  // at most one of each family; ports are ignored
  uint16_t port = 0;                          // shard k listens on port + k; 0: any
  std::vector<SocketAddress> announced_addresses;
  ShardConfig shard;
  // Maximum number of a room's peers on one shard before the room is spread to another one; 0: a room stays
  // on its shard.
  size_t room_share = 0;
  size_t max_transports = 20'000;  // of all shards
  size_t max_events = 65'536;
  UdpSocketOptions socket;
  // Maximum sleep of a shard after a busy tick, so that the packets which arrive meanwhile are forwarded
  // together. The sleep is a multiple of the time worked. 0: never.
  Duration rest{800};
  bool tcp = true;  // ICE-TCP (RFC 6544), passive, on the ports of UDP
  TcpServerOptions tcp_server;
  size_t tap_memory_bytes = 512u << 20;  // maximum size of the records that named taps keep
};

struct TransportDescription {
  TransportId transport;
  IceCredentials local;
  std::vector<IceCandidate> candidates;
};

struct SlotDescription {
  SlotId slot;
  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
};

// Reasons for which a call is not even queued.
enum class CallError : uint8_t { kNone, kClosed, kUnknownId, kQueueFull, kTooManyTransports, kTooManyTaps };

class Engine {
 public:
  // Null if an address cannot be bound; `error` is then the system's error number.
  static std::unique_ptr<Engine> Open(EngineConfig config, int& error);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  int event_fd() const { return events_.fd(); }
  const std::string& fingerprint() const { return config_.shard.certificate->fingerprint(); }
  GcmLibrary gcm_library() const { return GcmLibraryInUse(config_.shard.gcm); }
  std::vector<uint16_t> ports() const;
  std::vector<Event> PollEvents(size_t limit);
  void Close();

  // Results are valid only if the error is kNone.
  CallError CreateRoom(RoomId& room);
  CallError CloseRoom(RoomId room);
  CallError CreateTransport(RoomId room, TransportSettings settings, TransportDescription& description);
  CallError RestartIce(TransportId transport, IceCredentials remote, TransportDescription& description);
  CallError CloseTransport(TransportId transport);
  CallError AddTrack(TransportId transport, TrackSettings settings, TrackId& track);
  // A video slot gets an SSRC for retransmissions unless the subscriber takes none in this section.
  CallError AddSlot(TransportId transport, MediaKind kind, int pair, SlotDescription& description,
                    bool rtx = true);
  CallError RequestStats(std::optional<RoomId> room, uint32_t& request, bool details = true);
  // The tap's records can be read until a batch has `ended`, or until RemoveTap. With a retention it is a
  // named tap, whose records are kept until they are acknowledged, also after the track has ended.
  CallError AddTap(TrackId track, TapSettings settings, TapId& tap);
  // Another track feeds a named tap whose own track has ended.
  CallError ContinueTap(TapId tap, TrackId track, TapSettings settings);
  // Appends a record to a named tap: the last one, which only the caller can write.
  void FinishTap(TapId tap, ByteView record);
  // The size that is needed, and the keyframes.
  CallError UpdateTap(TapId tap, const TapDemand& demand);
  CallError RequestTapKeyframe(TapId tap);
  void ResumeTap(TapId tap, uint64_t position) { taps_.ResumeAfter(tap, position); }
  void AcknowledgeTap(TapId tap, uint64_t position) { taps_.Acknowledge(tap, position); }
  // Drops what named taps have kept for longer than their retention. To be called about once a second.
  void ExpireTaps();
  RetainedTapState TapState(TapId tap) const { return taps_.State(tap); }
  RetainedTotals retained() const { return taps_.totals(); }
  CallError RemoveTap(TapId tap);
  int tap_fd() const { return taps_.fd(); }
  // Taps that have received records since the last call.
  std::vector<TapId> ReadyTaps() { return taps_.TakeReady(); }
  // The records queued for a tap, up to about `limit` bytes; nothing if the tap does not exist.
  TapBatch ReadTap(TapId tap, size_t limit);
  // Commands for something that exists; each goes to the shard of its id.
  CallError Update(nexus::UpdateTransport command);
  CallError Send(nexus::RemoveTrack command);
  CallError Send(nexus::MuteTrack command);
  CallError Send(nexus::ResizeTrack command);
  CallError Send(nexus::RequestKeyframe command);
  CallError Send(nexus::RemoveSlot command);
  CallError Send(nexus::BindSlot command);
  CallError Send(nexus::UnbindSlot command);
  CallError Send(nexus::SetSubscribed command);
  CallError Send(nexus::SetSlotView command);
  CallError Send(nexus::ConfigureData command);
  CallError Send(nexus::SendData command);

 private:
  // Counter of ids of one kind. The shard of an id is its remainder, so that no table is needed.
  struct IdSource {
    uint32_t issued = 0;
  };
  struct PendingReport {
    size_t shards_left = 0;
    StatsReady merged;
  };

  explicit Engine(EngineConfig config);
  bool OpenShards(int& error);
  std::optional<ShardSockets> BindShard(size_t index, int& error);
  bool BindUdp(uint16_t port, ShardSockets& sockets, int& error) const;
  bool ListenTcp(ShardSockets& sockets, int& error) const;
  uint32_t NewId(IdSource& source, size_t shard);
  ShardThread* ShardOf(const IdSource& source, uint32_t id);
  CallError Post(const IdSource& source, uint32_t id, Command command);
  IceCredentials NewCredentials(size_t shard) const;
  Ssrc NewSsrc();
  size_t ShardIndex(uint32_t id) const { return (id - 1) % config_.shards; }
  size_t LeastLoaded() const;
  // engine_taps.cc
  // `mutex_` is held.
  CallError Record(TapId tap, TrackId track, TapSettings settings);
  TapId FeedOf(TapId tap);
  // engine_rooms.cc
  // Chooses the shard of the room's next peer and opens the room there; nothing if a command queue is full.
  std::optional<size_t> PlaceTransport(RoomId room);
  void NoteEnd(const Event& event);
  std::vector<IceCandidate> Candidates(size_t shard) const;
  // True if `event` is to be passed on: it is the last part of a report, or not a report.
  bool MergeReport(Event& event);

  EngineConfig config_;
  EventRing events_;
  TapRing taps_;
  int64_t unix_offset_us_;  // Unix time at the engine clock's zero, measured once: media times never step
  std::vector<SocketAddress> interfaces_;
  RelayMesh relays_;
  std::vector<std::unique_ptr<ShardThread>> shards_;

  std::mutex mutex_;  // guards everything below
  bool closed_ = false;
  std::map<uint32_t, RoomSpread> spreads_;          // of open rooms
  std::map<uint32_t, uint32_t> room_of_transport_;  // of transports that have not ended
  IdSource rooms_;
  IdSource transports_;
  IdSource tracks_;
  IdSource slots_;
  IdSource tap_ids_;
  std::map<uint32_t, TapId> tap_feeds_;  // of named taps: the tap in the shard that records for it
  uint32_t reports_ = 0;
  uint32_t ssrc_counter_ = 0;
  uint32_t ssrc_key_ = 0;
  std::map<uint32_t, PendingReport> pending_reports_;
};

}  // namespace nexus
