// Statistics of a shard: a snapshot of its counters and measurements, made on request.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/control/drop_reason.h"
#include "engine/forward/layer_target.h"

namespace nexus {

enum class TransportState : uint8_t { kNew = 0, kConnected = 1, kDisconnected = 2, kFailed = 3, kClosed = 4 };

struct TransportStats {
  TransportId transport;
  TransportState state = TransportState::kNew;
  std::string srtp_profile;
  uint64_t packets_in = 0;
  uint64_t bytes_in = 0;
  uint64_t packets_out = 0;
  uint64_t bytes_out = 0;
  double rtt_ms = 0;
  uint64_t data_messages_in = 0;
  uint64_t data_bytes_in = 0;
  uint64_t data_messages_out = 0;
  uint64_t data_bytes_out = 0;
  uint64_t data_messages_dropped = 0;  // by or for this peer; why: EngineStats::drops
  // Towards the peer: estimate of the path, bandwidth allocated to slots, rate acknowledged. 0: unknown.
  uint64_t estimate_bps = 0;
  uint64_t target_bps = 0;
  uint64_t acknowledged_bps = 0;
  double loss = 0;  // share of recently sent packets, 0 to 1
  uint64_t pacer_queue_packets = 0;
  uint64_t pacer_queue_bytes = 0;
  uint64_t pacer_drops = 0;
  uint64_t probe_clusters = 0;
  uint64_t probe_packets = 0;
  uint64_t slots_paused = 0;
};

struct TrackStats {
  TrackId track;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  int64_t packets_lost = 0;
  uint64_t red_recovered = 0;  // audio packets recovered from redundancy
  uint64_t nacks_sent = 0;
  uint64_t plis_sent = 0;
  uint64_t keyframes = 0;
  uint64_t keyframe_replays = 0;  // slots that started from the keyframe cache
  double jitter_ms = 0;
  LayerRates layer_bitrates{};  // see LayerRates
};

struct SlotStats {
  SlotId slot;
  std::optional<TrackId> track;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t nacks_received = 0;
  uint64_t retransmissions = 0;
  uint64_t plis_received = 0;
  double fraction_lost = 0;
  std::optional<LayerTarget> target;    // nothing: paused
  std::optional<LayerTarget> layer;     // currently sent; nothing: none
  uint64_t layer_switches = 0;          // to another encoding of the same track
  uint64_t layer_packets_left_out = 0;  // packets of layers above the one that is sent
};

// Filled by the core, then by sockets and threads at the edge.
struct EngineStats {
  uint64_t datagrams_in = 0;
  uint64_t bytes_in = 0;
  uint64_t datagrams_out = 0;
  uint64_t bytes_out = 0;
  uint64_t gso_runs = 0;
  uint64_t gso_segments = 0;
  uint64_t gso_fallbacks = 0;
  DropCounters drops;
  uint64_t send_backlog_drops = 0;
  uint64_t send_errors = 0;
  uint64_t receive_truncated = 0;
  uint64_t tcp_accepted = 0;
  uint64_t tcp_refused = 0;  // too many, no valid check, or bad framing
  uint64_t tcp_connections = 0;
  double cpu_seconds = 0;
  uint64_t transports = 0;
  uint64_t events_dropped = 0;
};

}  // namespace nexus
