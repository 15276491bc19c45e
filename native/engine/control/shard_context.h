// References that all parts of one shard share: destinations of packets, events and counts. The shard owns
// them.
#pragma once

#include <random>
#include <unordered_map>
#include <variant>

#include "engine/base/deadline_heap.h"
#include "engine/control/drop_reason.h"
#include "engine/control/event_queue.h"
#include "engine/control/shard_config.h"
#include "engine/forward/source_packet.h"
#include "engine/relay/relay_outbox.h"
#include "engine/transmit/run_builder.h"

namespace nexus {

class DataRouter;
class PublishedLayer;
class PublishedTrack;
class RelayedTrack;
class Room;
class TrackTap;
class Transport;

// Parts of a shard that have a deadline; `Shard::HandleTimeout` calls the one that is due.
using DeadlineOwner = std::variant<DataRouter*, PublishedTrack*, RelayedTrack*, Room*, TrackTap*, Transport*>;
using ShardDeadlines = DeadlineHeap<DeadlineOwner>;
using Deadline = ShardDeadlines::Deadline;

// Finds the layer whose ring holds what a slot has sent, also after the slot was bound to another one.
class LayerIndex {
 public:
  LayerId Add(PublishedLayer* layer) {
    const LayerId id{++last_};
    layers_.emplace(id, layer);
    return id;
  }
  void Remove(LayerId id) { layers_.erase(id); }
  PublishedLayer* Find(LayerId id) const {
    const auto found = layers_.find(id);
    return found == layers_.end() ? nullptr : found->second;
  }
  size_t size() const { return layers_.size(); }

 private:
  uint32_t last_ = 0;
  std::unordered_map<LayerId, PublishedLayer*> layers_;
};

struct ShardContext {
  const ShardConfig& config;
  RunBuilder& out;
  EventQueue& events;
  DropCounters& drops;
  ShardDeadlines& deadlines;
  LayerIndex& layers;
  std::mt19937_64& random;
  RelayOutbox& relay;
};

}  // namespace nexus
