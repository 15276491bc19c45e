#include "engine/shard/shard.h"

#include "engine/base/overloaded.h"
#include "engine/rtp/demultiplexer.h"
#include "engine/stun/stun_message.h"

namespace nexus {

Shard::Shard(ShardConfig config)
    : config_(std::move(config)),
      events_(config_.max_events, drops_),
      random_(config_.seed),
      fan_out_(layers_, out_, drops_, config_.pad_runs),
      context_{config_, out_, events_, drops_, deadlines_, layers_, random_, relay_},
      data_(context_) {}

Shard::~Shard() {
  // Slots point to tracks of other transports, so transports are removed one by one.
  relayed_.clear();
  while (!transports_.empty()) transports_.erase(transports_.begin());
}

void Shard::HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received,
                           Timestamp now) {
  const Protocol protocol = Demultiplex(datagram);
  if (protocol == Protocol::kStun) return HandleStun(datagram, from, now);
  if (protocol == Protocol::kUnknown) return drops_.Count(DropReason::kUnknownProtocol);
  // The map contains only addresses with a valid check, so that other DTLS and SRTP costs nothing (hard
  // problem 13).
  const auto known = by_address_.find(from);
  if (known == by_address_.end()) return drops_.Count(DropReason::kUnknownAddress);
  Transport& transport = *known->second;
  switch (protocol) {
    case Protocol::kDtls:
      transport.HandleDtls(datagram, from, now);
      data_.Transmit();
      break;
    case Protocol::kRtp:
      return transport.HandleRtp(datagram, from, received, now);  // never ends a transport
    case Protocol::kRtcp:
      return transport.HandleRtcp(datagram, from, now);
    case Protocol::kStun:
    case Protocol::kUnknown:
      break;
  }
  Sweep(transport, now);
}

Transport* Shard::TransportFor(ByteView stun, const SocketAddress& from) {
  if (const auto ufrag = PeekLocalUfrag(stun)) {
    const auto found = by_ufrag_.find(std::string(*ufrag));
    return found == by_ufrag_.end() ? nullptr : found->second;
  }
  // Indications carry no USERNAME (RFC 8445 section 11).
  const auto found = by_address_.find(from);
  return found == by_address_.end() ? nullptr : found->second;
}

void Shard::HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now) {
  Transport* transport = TransportFor(datagram, from);
  if (transport == nullptr) return drops_.Count(DropReason::kUnknownUfrag);
  const IceStunOutcome outcome = transport->HandleStun(datagram, from, now);
  if (outcome.evicted) {
    const auto old = by_address_.find(*outcome.evicted);
    if (old != by_address_.end() && old->second == transport) by_address_.erase(old);
  }
  if (outcome.authenticated) by_address_[from] = transport;  // the newest check counts
  Sweep(*transport, now);
}

void Shard::HandleConnectionLost(const SocketAddress& from, Timestamp now) {
  const auto known = by_address_.find(from);
  if (known == by_address_.end()) return;
  Transport& transport = *known->second;
  by_address_.erase(known);
  transport.OnPathLost(from, now);
}

void Shard::HandleTimeout(Timestamp now) {
  while (const Deadline* due = deadlines_.PopDue(now)) {
    std::visit(Overloaded{
                   [&](Transport* transport) {
                     transport->HandleTimeout(now);
                     Sweep(*transport, now);
                   },
                   [&](auto* owner) { owner->HandleTimeout(now); },
               },
               due->owner());
  }
}

void Shard::Sweep(Transport& transport, Timestamp now) {
  if (!transport.ending()) return;
  const Transport::Ending ending = *transport.ending();
  Remove(transport, ending.state, ending.reason, now);
}

void Shard::Remove(Transport& transport, TransportState state, std::string reason, Timestamp now) {
  transport.Shutdown();
  events_.Push(transport.Changed(state, std::move(reason)));
  for (const std::string& ufrag : transport.ufrags()) {
    const auto found = by_ufrag_.find(ufrag);
    if (found != by_ufrag_.end() && found->second == &transport) by_ufrag_.erase(found);
  }
  for (const SocketAddress& address : transport.ice().validated()) {
    const auto found = by_address_.find(address);
    if (found != by_address_.end() && found->second == &transport) by_address_.erase(found);
  }
  for (const auto& slot : transport.slots()) {
    slots_.erase(slot->id());
    waiting_binds_.erase(slot->id());
  }
  Room& room = RoomOf(transport);
  room.Remove(transport);
  for (const auto& track : transport.tracks()) {
    room.ForgetTrack(track->id());
    tracks_.erase(track->id());
  }
  transports_.erase(transport.id());
  SweepTaps();
  SweepRelays();
  room.OnAudioTracksChanged(now);
}

void Shard::CloseRoomNow(Room& room, Timestamp now) {
  const std::vector<Transport*> transports = room.transports();
  for (Transport* transport : transports) Remove(*transport, TransportState::kClosed, "room_closed", now);
  RemoveRelayedOf(room, now);
  data_.ForgetRoom(room.id());
  rooms_.erase(room.id());
}

void Shard::CloseAll(Timestamp now) {
  while (!rooms_.empty()) CloseRoomNow(*rooms_.begin()->second, now);
}

Shard::Counts Shard::counts() const {
  return {rooms_.size(),      transports_.size(),
          tracks_.size(),     slots_.size(),
          layers_.size(),     by_ufrag_.size(),
          by_address_.size(), deadlines_.size(),
          taps_.size(),       relayed_.size() + relay_sinks_.size() + waiting_binds_.size()};
}

const Transport* Shard::FindTransport(TransportId id) const {
  const auto found = transports_.find(id);
  return found == transports_.end() ? nullptr : found->second.get();
}

}  // namespace nexus
