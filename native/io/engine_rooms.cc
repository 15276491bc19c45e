// The placement of rooms and their peers on shards: a room begins on one shard, and is spread to another when
// it has more peers than a shard's share.
#include <algorithm>

#include "io/engine.h"

namespace nexus {

CallError Engine::CreateRoom(RoomId& room) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  const size_t shard = LeastLoaded();
  room = RoomId{NewId(rooms_, shard)};
  if (!shards_[shard]->Post(nexus::CreateRoom{room})) return CallError::kQueueFull;
  shards_[shard]->rooms.fetch_add(1);
  spreads_[room.value] = RoomSpread(static_cast<uint16_t>(shard));
  return CallError::kNone;
}

CallError Engine::CloseRoom(RoomId room) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  ShardThread* home = ShardOf(rooms_, room.value);
  if (home == nullptr) return CallError::kUnknownId;
  const auto spread = spreads_.find(room.value);
  // The shard rejects a second close.
  if (spread == spreads_.end())
    return home->Post(nexus::CloseRoom{room}) ? CallError::kNone : CallError::kQueueFull;
  bool posted = true;
  for (const uint16_t shard : spread->second.shards()) posted &= shards_[shard]->Post(nexus::CloseRoom{room});
  if (!posted) return CallError::kQueueFull;  // may be called again
  for (const uint32_t transport : spread->second.transports()) room_of_transport_.erase(transport);
  spreads_.erase(spread);
  return CallError::kNone;
}

std::optional<size_t> Engine::PlaceTransport(RoomId room) {
  const auto found = spreads_.find(room.value);
  if (found == spreads_.end()) return ShardIndex(room.value);  // closed: the shard rejects it
  RoomSpread& spread = found->second;
  const uint16_t shard =
      spread.Place(config_.room_share, shards_.size(), [this](const std::vector<uint16_t>& candidates) {
        return *std::min_element(candidates.begin(), candidates.end(), [this](uint16_t a, uint16_t b) {
          return shards_[a]->transports.load() < shards_[b]->transports.load();
        });
      });
  if (spread.Has(shard)) return shard;
  if (!shards_[shard]->Post(nexus::CreateRoom{room})) return std::nullopt;
  shards_[shard]->rooms.fetch_add(1);
  spread.Add(shard);
  for (const uint16_t each : spread.shards()) {
    if (!shards_[each]->Post(nexus::SpreadRoom{room, spread.shards()})) return std::nullopt;
  }
  return shard;
}

CallError Engine::CreateTransport(RoomId room, TransportSettings settings,
                                  TransportDescription& description) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  if (ShardOf(rooms_, room.value) == nullptr) return CallError::kUnknownId;
  size_t transports = 0;
  for (const auto& each : shards_) transports += each->transports.load();
  if (transports >= config_.max_transports) return CallError::kTooManyTransports;
  const std::optional<size_t> index = PlaceTransport(room);
  if (!index) return CallError::kQueueFull;
  ShardThread& shard = *shards_[*index];
  description.transport = TransportId{NewId(transports_, *index)};
  description.local = NewCredentials(*index);
  description.candidates = Candidates(*index);
  shard.transports.fetch_add(1);
  if (!shard.Post(
          nexus::CreateTransport{description.transport, room, description.local, std::move(settings)})) {
    shard.transports.fetch_sub(1);
    return CallError::kQueueFull;
  }
  if (const auto spread = spreads_.find(room.value); spread != spreads_.end()) {
    spread->second.AddTransport(description.transport.value);
    room_of_transport_[description.transport.value] = room.value;
  }
  return CallError::kNone;
}

CallError Engine::Send(nexus::SendData command) {
  const std::lock_guard lock(mutex_);
  if (closed_) return CallError::kClosed;
  ShardThread* home = ShardOf(rooms_, command.room.value);
  if (home == nullptr) return CallError::kUnknownId;
  const auto spread = spreads_.find(command.room.value);
  if (spread == spreads_.end())
    return home->Post(std::move(command)) ? CallError::kNone : CallError::kQueueFull;
  bool posted = true;
  for (const uint16_t shard : spread->second.shards()) posted &= shards_[shard]->Post(command);
  return posted ? CallError::kNone : CallError::kQueueFull;
}

// A transport that has ended makes room on its shard.
void Engine::NoteEnd(const Event& event) {
  uint32_t transport = 0;
  if (const auto* changed = std::get_if<TransportChanged>(&event)) {
    const bool over = changed->state == TransportState::kFailed || changed->state == TransportState::kClosed;
    if (over) transport = changed->transport.value;
  } else if (const auto* rejected = std::get_if<CommandRejected>(&event)) {
    if (rejected->command == "create_transport") transport = rejected->id;
  }
  const auto found = room_of_transport_.find(transport);
  if (found == room_of_transport_.end()) return;
  if (const auto spread = spreads_.find(found->second); spread != spreads_.end()) {
    spread->second.RemoveTransport(transport);
  }
  room_of_transport_.erase(found);
}

}  // namespace nexus
