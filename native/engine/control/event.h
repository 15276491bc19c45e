// What a shard tells the control side: closed set, polled from the core and carried through a bounded ring.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/socket_address.h"
#include "engine/codec/codec.h"
#include "engine/control/report.h"
#include "engine/forward/layer_target.h"

namespace nexus {

struct TransportChanged {
  TransportId transport;
  TransportState state = TransportState::kNew;
  std::string reason;  // "" or a stable snake_case word
  std::string srtp_profile;
  std::optional<SocketAddress> remote_address;
};

// The first packet of a track came.
struct TrackStarted {
  TrackId track;
  Codec codec = Codec::kOpus;
};

// A slot now really sends this track; nothing: it sends no more.
struct SlotChanged {
  SlotId slot;
  std::optional<TrackId> track;
};

// The subscriber's bandwidth does not carry even the lowest layer of what a slot shows, or it does again.
struct SlotPaused {
  SlotId slot;
  bool paused = false;
};

// The highest layers of a track that anybody wants, when it changed; nothing: nobody watches it. A publisher
// need not send more. Until the first of these it sends all.
struct LayersWanted {
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

struct ReportReady {
  uint32_t request = 0;
  EngineReport engine;
  std::vector<TransportReport> transports;
  std::vector<TrackReport> tracks;
  std::vector<SlotReport> slots;
};

using Event = std::variant<TransportChanged, TrackStarted, SlotChanged, SlotPaused, LayersWanted,
                           SpeakersChanged, CommandRejected, ReportReady>;

}  // namespace nexus
