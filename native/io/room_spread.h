// The shards that a room is on, and the choice of the shard for its next peer: the home shard until it has
// its share, then others.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

namespace nexus {

class RoomSpread {
 public:
  RoomSpread() = default;
  explicit RoomSpread(uint16_t home) : shards_{home} {}

  // `share`: the room's transports on one shard before another shard is used; 0: no limit.
  // `least_loaded(shards)` chooses among the shards that have none of this room.
  uint16_t Place(size_t share, size_t shard_count,
                 const std::function<uint16_t(const std::vector<uint16_t>&)>& least_loaded) const {
    if (share == 0 || shard_count == 1) return shards_.front();
    uint16_t emptiest = shards_.front();
    for (const uint16_t shard : shards_) {
      if (count(shard, shard_count) < share) return shard;
      if (count(shard, shard_count) < count(emptiest, shard_count)) emptiest = shard;
    }
    std::vector<uint16_t> others;
    for (uint16_t shard = 0; shard < shard_count; ++shard) {
      if (!Has(shard)) others.push_back(shard);
    }
    return others.empty() ? emptiest : least_loaded(others);
  }
  bool Has(uint16_t shard) const {
    for (const uint16_t each : shards_) {
      if (each == shard) return true;
    }
    return false;
  }
  void Add(uint16_t shard) { shards_.push_back(shard); }
  const std::vector<uint16_t>& shards() const { return shards_; }

  void AddTransport(uint32_t id) { transports_.insert(id); }
  void RemoveTransport(uint32_t id) { transports_.erase(id); }
  const std::set<uint32_t>& transports() const { return transports_; }

 private:
  size_t count(uint16_t shard, size_t shard_count) const {
    size_t found = 0;
    for (const uint32_t id : transports_) found += (id - 1) % shard_count == shard ? 1 : 0;
    return found;
  }

  std::vector<uint16_t> shards_;  // the home first
  std::set<uint32_t> transports_;
};

}  // namespace nexus
