// The sans-I/O core of one shard: datagrams and commands in, datagrams and events out, without clock, socket
// or thread. A room and its participants are on one shard, or on several that relay.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/control/command.h"
#include "engine/control/event.h"
#include "engine/control/shard_context.h"
#include "engine/data/data_router.h"
#include "engine/room/relay_sink.h"
#include "engine/room/relayed_track.h"
#include "engine/room/room.h"
#include "engine/room/track_tap.h"
#include "engine/subscribe/fan_out.h"
#include "engine/transport/transport.h"

namespace nexus {

class Shard {
 public:
  explicit Shard(ShardConfig config);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // `received` is the time of the kernel, for feedback and jitter; `now` never goes back.
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
    HandleDatagram(datagram, from, now, now);
  }
  // For a caller that has many datagrams at hand: between the two calls, media is collected and then
  // forwarded run by run. `ForwardSome` returns true when `transmit` has grown large and should be sent
  // before the next call. `EndBatch` forwards the rest, and precedes commands, timeouts and `transmit`.
  void BeginBatch() { fan_out_.BeginBatch(); }
  // True when `ForwardSome` should be called; a full batch is forwarded without sending in between.
  bool BatchNearlyFull() const { return fan_out_.nearly_full(); }
  bool ForwardSome(Timestamp now) { return fan_out_.ForwardSome(now); }
  void EndBatch(Timestamp now) {
    fan_out_.Flush(now);
    fan_out_.EndBatch();
  }
  // A TCP connection is gone (RFC 6544): its address is no longer validated.
  void HandleConnectionLost(const SocketAddress& from, Timestamp now);
  // True for an address from which a valid check came; a connection from another one is refused other data.
  bool Knows(const SocketAddress& address) const { return by_address_.contains(address); }
  void HandleCommand(const Command& command, Timestamp now);
  Timestamp NextDeadline() const { return deadlines_.next(); }
  void HandleTimeout(Timestamp now);
  // Closes all transports and frees everything.
  void CloseAll(Timestamp now);

  // Packets to send. The caller sends and clears them after each tick, or sooner when the batch grows large.
  RunBuilder& transmit() { return out_; }
  std::optional<Event> PollEvent() { return events_.Poll(); }
  // Batches of taps, bounded for each tap by its backlog.
  std::optional<TapBatch> PollTap() { return tap_batches_.Poll(); }

  // Batches to and from the other shards of rooms that are spread. Those of one shard must come in order and
  // whole.
  std::optional<RelayBatch> PollRelay() { return relay_.Poll(); }
  void HandleRelay(uint16_t from, ByteView batch, Timestamp now);
  // The queue to that shard is full, or no longer.
  void SetRelayCongested(uint16_t to, bool congested) { relay_.SetCongested(to, congested); }

  const DropCounters& drops() const { return drops_; }
  // Number of objects; all are 0 without rooms.
  struct Counts {
    size_t rooms = 0;
    size_t transports = 0;
    size_t tracks = 0;
    size_t slots = 0;
    size_t layers = 0;
    size_t ufrags = 0;
    size_t addresses = 0;
    size_t deadlines = 0;
    size_t taps = 0;
    size_t relays = 0;  // tracks to and from other shards, slots that wait for one
    friend bool operator==(const Counts&, const Counts&) = default;
  };
  Counts counts() const;
  const Transport* FindTransport(TransportId id) const;

 private:
  // A slot and its transport.
  struct SlotPlace {
    Transport* transport = nullptr;
    SubscriberSlot* slot = nullptr;
  };

  void HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  Transport* TransportFor(ByteView stun, const SocketAddress& from);

  // One for each command, in shard_commands.cc, shard_relay.cc and shard_taps.cc.
  void Handle(const CreateRoom& command, Timestamp now);
  void Handle(const CloseRoom& command, Timestamp now);
  void Handle(const CreateTransport& command, Timestamp now);
  void Handle(const UpdateTransport& command, Timestamp now);
  void Handle(const RestartIce& command, Timestamp now);
  void Handle(const CloseTransport& command, Timestamp now);
  void Handle(const AddTrack& command, Timestamp now);
  void Handle(const RemoveTrack& command, Timestamp now);
  void Handle(const MuteTrack& command, Timestamp now);
  void Handle(const ResizeTrack& command, Timestamp now);
  void Handle(const RequestKeyframe& command, Timestamp now);
  void Handle(const AddSlot& command, Timestamp now);
  void Handle(const RemoveSlot& command, Timestamp now);
  void Handle(const BindSlot& command, Timestamp now);
  void Handle(const UnbindSlot& command, Timestamp now);
  void Handle(const SetSubscribed& command, Timestamp now);
  void Handle(const SetSlotView& command, Timestamp now);
  void Handle(const AddTap& command, Timestamp now);
  void Handle(const RemoveTap& command, Timestamp now);
  void Handle(const RefreshTap& command, Timestamp now);
  void Handle(const UpdateTap& command, Timestamp now);
  void Handle(const ConfigureData& command, Timestamp now);
  void Handle(const SendData& command, Timestamp now);
  void Handle(const SpreadRoom& command, Timestamp now);
  void Handle(const RequestStats& command, Timestamp now);
  SlotPlace FindSlot(SlotId id) const;
  Room& RoomOf(const TrackPublisher& publisher) const { return *rooms_.at(publisher.room()); }
  void Reject(std::string_view command, uint32_t id, std::string_view reason);

  // Removes the transport when it has ended.
  void Sweep(Transport& transport, Timestamp now);
  void Remove(Transport& transport, TransportState state, std::string reason, Timestamp now);
  // shard_relay.cc
  void Announce(PublishedTrack& track, uint16_t shard);
  void AnnounceToPeers(PublishedTrack& track);
  RelaySink* FindSink(TrackId track, uint16_t shard);
  RelayedTrack* FindRelayed(TrackId track, uint16_t shard);
  void AddRelayed(uint16_t from, const RelayTrackAdded& added, Timestamp now);
  void RemoveRelayed(TrackId track, Timestamp now);
  void RemoveRelayedOf(const Room& room, Timestamp now);
  void SweepRelays();
  bool IsForeign(TrackId track) const {
    return track.value != 0 && (track.value - 1) % config_.shards != config_.index;
  }

  // Removes taps whose track is gone.
  void SweepTaps();
  void CloseRoomNow(Room& room, Timestamp now);

  ShardConfig config_;
  RunBuilder out_;
  DropCounters drops_;
  EventQueue events_;
  ShardDeadlines deadlines_;
  LayerIndex layers_;
  std::mt19937_64 random_;
  RelayOutbox relay_;
  FanOut fan_out_;
  ShardContext context_;
  DataRouter data_;

  std::unordered_map<RoomId, std::unique_ptr<Room>> rooms_;
  std::unordered_map<TransportId, std::unique_ptr<Transport>> transports_;
  std::unordered_map<TrackId, PublishedTrack*> tracks_;
  std::unordered_map<SlotId, SlotPlace> slots_;
  std::unordered_map<TrackId, std::unique_ptr<RelayedTrack>> relayed_;
  std::unordered_map<TrackId, std::vector<std::unique_ptr<RelaySink>>> relay_sinks_;
  // Slots that are bound to a track of another shard that has not been announced yet.
  std::unordered_map<SlotId, TrackId> waiting_binds_;
  TapOutbox tap_batches_;
  std::unordered_map<TapId, std::unique_ptr<TrackTap>> taps_;
  std::unordered_map<std::string, Transport*> by_ufrag_;
  // The whole address is the key, because hashes of addresses could collide (hard problem 25).
  std::unordered_map<SocketAddress, Transport*> by_address_;
};

}  // namespace nexus
