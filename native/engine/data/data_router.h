// The data channels of all rooms of one shard: who gets which message, whose reading waits for whom, and
// SCTP's time.
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
  // The room is spread over these other shards.
  void SetShards(RoomId room, const std::vector<uint16_t>& others) { shards_[room] = others; }
  void ForgetRoom(RoomId room) { shards_.erase(room); }
  // By DataPeer, for its life.
  void Add(DataPeer& peer);
  void Remove(DataPeer& peer);

  // To everybody in the sender's room but the sender.
  void ToRoom(const DataPeer& sender, const RoutedData& data);
  // False when there is no such participant in the sender's room.
  bool ToParticipant(const DataPeer& sender, std::string_view participant, const RoutedData& data);
  // Of a peer on another shard of its room.
  void FromShard(const RelayData& data, Timestamp now);
  // From the server, to these transports or, with none named, to everybody.
  void FromServer(RoomId room, const std::vector<TransportId>& to, const RoutedData& data, Timestamp now);

  // Whether somebody who would get this peer's messages has too many of them waiting.
  bool Congested(const DataPeer& sender) const;
  // Reading goes on at the next tick.
  void Pause(DataPeer& peer);
  void OnActivity(Timestamp now);
  void HandleTimeout(Timestamp now);
  // What SCTP has made since the last call, to DTLS.
  void Transmit();

 private:
  bool Relay(RoomId room, std::string_view participant, const RoutedData& data);
  void Schedule(Timestamp now);

  ShardContext& context_;
  SctpWakeList wake_;
  std::unordered_map<RoomId, std::vector<DataPeer*>> rooms_;
  std::unordered_map<RoomId, std::vector<uint16_t>> shards_;  // of rooms that are spread
  std::vector<DataPeer*> paused_;
  size_t peers_ = 0;
  Timestamp active_until_{};
  Deadline deadline_{this};
};

}  // namespace nexus
