#include "engine/data/data_router.h"

#include <algorithm>

namespace nexus {
namespace {

// Intervals of usrsctp's timers: its own granularity while messages are in flight, and a longer one when
// idle.
constexpr Duration kBusyTick = std::chrono::milliseconds(10);
constexpr Duration kIdleTick = std::chrono::milliseconds(200);
constexpr Duration kBusyFor = std::chrono::seconds(1);

}  // namespace

DataRouter::DataRouter(ShardContext& context) : context_(context) {}

void DataRouter::Add(DataPeer& peer) {
  rooms_[peer.room()].push_back(&peer);
  ++peers_;
}

void DataRouter::Remove(DataPeer& peer) {
  const auto room = rooms_.find(peer.room());
  std::erase(room->second, &peer);
  if (room->second.empty()) rooms_.erase(room);
  if (peer.paused()) std::erase(paused_, &peer);
  if (--peers_ == 0) context_.deadlines.Set(deadline_, kNever);
}

void DataRouter::ToRoom(const DataPeer& sender, const RoutedData& data) {
  for (DataPeer* peer : rooms_.at(sender.room())) {
    if (peer != &sender) peer->Deliver(data);
  }
  Relay(sender.room(), {}, data);
}

bool DataRouter::ToParticipant(const DataPeer& sender, std::string_view participant, const RoutedData& data) {
  for (DataPeer* peer : rooms_.at(sender.room())) {
    if (peer->settings().participant != participant) continue;
    peer->Deliver(data);
    return true;
  }
  return Relay(sender.room(), participant, data);
}

// Sends to the other shards of the room. False when there are none.
bool DataRouter::Relay(RoomId room, std::string_view participant, const RoutedData& data) {
  const auto found = shards_.find(room);
  if (found == shards_.end()) return false;
  RelayData relayed;
  relayed.room = room;
  relayed.participant = participant;
  relayed.kind = data.kind;
  relayed.message = *data.message;
  for (const uint16_t shard : found->second) {
    if (!context_.relay.SendBulk(shard, relayed)) context_.drops.Count(DropReason::kRelayCongested);
  }
  return !found->second.empty();
}

void DataRouter::FromShard(const RelayData& relayed, Timestamp now) {
  const auto room = rooms_.find(relayed.room);
  if (room == rooms_.end()) return;
  RoutedData data;
  data.kind = relayed.kind;
  data.message = std::make_shared<const std::vector<uint8_t>>(relayed.message.begin(), relayed.message.end());
  for (DataPeer* peer : room->second) {
    if (relayed.participant.empty() || peer->settings().participant == relayed.participant)
      peer->Deliver(data);
  }
  OnActivity(now);
  Transmit();
}

void DataRouter::FromServer(RoomId room, const std::vector<TransportId>& to, const RoutedData& data,
                            Timestamp now) {
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return;
  for (DataPeer* peer : found->second) {
    if (to.empty() || std::ranges::count(to, peer->transport()) > 0) peer->Deliver(data);
  }
  OnActivity(now);
}

bool DataRouter::Congested(const DataPeer& sender) const {
  const auto room = rooms_.find(sender.room());
  if (room == rooms_.end()) return false;
  return std::ranges::any_of(room->second, [&](const DataPeer* peer) {
    return peer != &sender && peer->settings().receive && peer->congested();
  });
}

void DataRouter::Pause(DataPeer& peer) {
  if (peer.Pause()) paused_.push_back(&peer);
}

void DataRouter::OnActivity(Timestamp now) {
  const bool was_busy = now < active_until_;
  active_until_ = now + kBusyFor;
  if (!was_busy) Schedule(now);
}

void DataRouter::Schedule(Timestamp now) {
  const bool busy = now < active_until_ || !paused_.empty();
  if (peers_ > 0) context_.deadlines.Set(deadline_, now + (busy ? kBusyTick : kIdleTick));
}

void DataRouter::HandleTimeout(Timestamp now) {
  SctpStack::Get().RunTimers(now);
  for (const auto& [room, peers] : rooms_) {
    for (DataPeer* peer : peers) {
      if (peer->congested()) active_until_ = now + kBusyFor;
      peer->CheckProgress(now);
    }
  }
  std::vector<DataPeer*> waiting;
  std::swap(waiting, paused_);
  for (DataPeer* peer : waiting) {
    if (peer->Resume(now)) Pause(*peer);
  }
  Transmit();
  Schedule(now);
}

void DataRouter::Transmit() {
  // Transmitting for one association may wake another.
  for (SctpAssociation* association : wake_.Take()) association->owner()->Transmit();
}

}  // namespace nexus
