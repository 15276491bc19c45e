// The sans-I/O core of one shard: datagrams and commands in, datagrams and events out, no clock, no socket,
// no thread. A room and its people live on one shard, or on several that relay.
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

  // `received`: when the kernel had it, for feedback and jitter; `now` never goes back.
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
    HandleDatagram(datagram, from, now, now);
  }
  // Between the two media is collected and then forwarded run by run, which is what a caller does that has
  // many datagrams at hand. `ForwardSome` says that there is more when `transmit` has grown large: send it,
  // and call again. `EndBatch` forwards what is left, and comes before commands, timeouts and `transmit`.
  void BeginBatch() { fan_out_.BeginBatch(); }
  // Time for `ForwardSome`; a batch that is full is forwarded without sending in between.
  bool BatchNearlyFull() const { return fan_out_.nearly_full(); }
  bool ForwardSome(Timestamp now) { return fan_out_.ForwardSome(now); }
  void EndBatch(Timestamp now) {
    fan_out_.Flush(now);
    fan_out_.EndBatch();
  }
  // A TCP connection is gone (RFC 6544): its address proves nothing any more.
  void HandleConnectionLost(const SocketAddress& from, Timestamp now);
  // Whether a valid check came from there: what else a connection carries is of a stranger.
  bool Knows(const SocketAddress& address) const { return by_address_.contains(address); }
  void HandleCommand(const Command& command, Timestamp now);
  Timestamp NextDeadline() const { return deadlines_.next(); }
  void HandleTimeout(Timestamp now);
  // Says goodbye to every peer and frees everything.
  void CloseAll(Timestamp now);

  // What is to be sent. The caller sends and clears it after each tick, or sooner when it grows large.
  RunBuilder& transmit() { return out_; }
  std::optional<Event> PollEvent() { return events_.Poll(); }
  // What taps have recorded; bounded for each by its backlog.
  std::optional<TapBatch> PollTap() { return tap_batches_.Poll(); }

  // To and from the other shards of rooms that are spread. The batches of one shard must come in order and
  // whole.
  std::optional<RelayBatch> PollRelay() { return relay_.Poll(); }
  void HandleRelay(uint16_t from, ByteView batch, Timestamp now);
  // The way to that shard is full, or no longer.
  void SetRelayCongested(uint16_t to, bool congested) { relay_.SetCongested(to, congested); }

  const DropCounters& drops() const { return drops_; }
  // What is alive; a shard without rooms has none of it.
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
    size_t relays = 0;  // tracks to and from other shards, wishes that wait for one
    friend bool operator==(const Counts&, const Counts&) = default;
  };
  Counts counts() const;
  const Transport* FindTransport(TransportId id) const;

 private:
  // A slot, and whose it is.
  struct SlotPlace {
    Transport* transport = nullptr;
    SubscriberSlot* slot = nullptr;
  };

  void HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  Transport* TransportFor(ByteView stun, const SocketAddress& from);

  // shard_commands.cc: one for each command.
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
  void Handle(const SetSlotPreferences& command, Timestamp now);
  void Handle(const AddTap& command, Timestamp now);
  void Handle(const RemoveTap& command, Timestamp now);
  void Handle(const RefreshTap& command, Timestamp now);
  void Handle(const ConfigureData& command, Timestamp now);
  void Handle(const SendData& command, Timestamp now);
  void Handle(const SpreadRoom& command, Timestamp now);
  void Handle(const RequestReport& command, Timestamp now);
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

  // Forgets taps whose track went.
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
  // Slots that want a track of another shard that was not told of yet.
  std::unordered_map<SlotId, TrackId> waiting_binds_;
  TapOutbox tap_batches_;
  std::unordered_map<TapId, std::unique_ptr<TrackTap>> taps_;
  std::unordered_map<std::string, Transport*> by_ufrag_;
  // The whole address is the key: a hash of it would collide one day (hard problem 25).
  std::unordered_map<SocketAddress, Transport*> by_address_;
};

}  // namespace nexus
