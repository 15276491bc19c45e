// Events of a shard for the control side: a closed set, polled from the core, carried through a bounded ring.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/socket_address.h"
#include "engine/codec/codec.h"
#include "engine/control/stats.h"
#include "engine/forward/layer_target.h"

namespace nexus {

struct TransportChanged {
  TransportId transport;
  TransportState state = TransportState::kNew;
  std::string reason;  // "" or a stable snake_case word
  std::string srtp_profile;
  std::optional<SocketAddress> remote_address;
};

// The first packet of a track has arrived.
struct TrackStarted {
  TrackId track;
  Codec codec = Codec::kOpus;
};

// A slot now sends this track; nothing: it has stopped sending.
struct SlotChanged {
  SlotId slot;
  std::optional<TrackId> track;
};

// The subscriber's bandwidth does not carry even the lowest layer of what a slot shows, or it does again.
struct SlotPaused {
  SlotId slot;
  bool paused = false;
};

// The layer demand of a track has changed; nothing: no subscriber watches it. The publisher need not send
// more. Until the first of these events it sends all layers.
struct LayerDemandChanged {
  TrackId track;
  std::optional<LayerTarget> highest;
};

struct SpeakersChanged {
  RoomId room;
  std::vector<std::pair<TrackId, double>> speakers;  // smoothed level in dBov, loudest first
};

struct CommandRejected {
  std::string command;
  uint32_t id = 0;
  std::string reason;
};

struct StatsReady {
  uint32_t request = 0;
  EngineStats engine;
  std::vector<TransportStats> transports;
  std::vector<TrackStats> tracks;
  std::vector<SlotStats> slots;
};

using Event = std::variant<TransportChanged, TrackStarted, SlotChanged, SlotPaused, LayerDemandChanged,
                           SpeakersChanged, CommandRejected, StatsReady>;

}  // namespace nexus
