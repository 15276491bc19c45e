// Data channels of all rooms of one shard: routing of messages, back-pressure between peers, SCTP's timers.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/data/data_peer.h"

namespace nexus {

class DataRouter {
 public:
  explicit DataRouter(ShardContext& context);

  SctpWakeList& wake_list() { return wake_; }
  // The other shards over which the room is spread.
  void SetShards(RoomId room, const std::vector<uint16_t>& others) { shards_[room] = others; }
  void ForgetRoom(RoomId room) { shards_.erase(room); }
  // Called by DataPeer, which is a member for its life.
  void Add(DataPeer& peer);
  void Remove(DataPeer& peer);

  // Delivers to all participants of the sender's room except the sender.
  void ToRoom(const DataPeer& sender, const RoutedData& data);
  // False when there is no such participant in the sender's room.
  bool ToParticipant(const DataPeer& sender, std::string_view participant, const RoutedData& data);
  // Delivers a message of a peer on another shard of its room.
  void FromShard(const RelayData& data, Timestamp now);
  // Delivers a message of the server to these transports, or to all when none is named.
  void FromServer(RoomId room, const std::vector<TransportId>& to, const RoutedData& data, Timestamp now);

  // True when a recipient of this peer's messages has too many of them queued.
  bool Congested(const DataPeer& sender) const;
  // The peer is read again at the next tick.
  void Pause(DataPeer& peer);
  void OnActivity(Timestamp now);
  void HandleTimeout(Timestamp now);
  // Passes packets that SCTP has made since the last call to DTLS.
  void Transmit();

 private:
  bool Relay(RoomId room, std::string_view participant, const RoutedData& data);
  void Schedule(Timestamp now);

  ShardContext& context_;
  SctpWakeList wake_;
  std::unordered_map<RoomId, std::vector<DataPeer*>> rooms_;
  std::unordered_map<RoomId, std::vector<uint16_t>> shards_;  // other shards of rooms that are spread
  std::vector<DataPeer*> paused_;
  size_t peers_ = 0;
  Timestamp active_until_{};
  Deadline deadline_{this};
};

}  // namespace nexus
