// What a group of probe packets measured: how fast they left, how fast they arrived, and so what the link
// carries.
#pragma once

#include <array>
#include <optional>

#include "engine/bwe/transport_feedback_adapter.h"

namespace nexus {

struct ProbeCluster {
  ProbeClusterId id = kNoProbe;
  int64_t target_bps = 0;
  int min_packets = 5;
  size_t min_bytes = 0;
  // Long enough to meet everybody else on the link, not just a gap between them.
  bool sustained = false;
};

struct ProbeResult {
  ProbeClusterId cluster = kNoProbe;
  int64_t sent_bps = 0;
  int64_t received_bps = 0;
  // What to believe; below the rate sent when that was more than the link carries.
  int64_t capacity_bps = 0;
  bool saturated = false;
  bool sustained = false;
};

class ProbeBitrate {
 public:
  void Begin(const ProbeCluster& cluster);
  // A result as soon as enough of its packets arrived, better ones as more come.
  std::optional<ProbeResult> OnPacket(const PacketResult& packet);

 private:
  static constexpr size_t kClusters = 8;  // the latest; feedback about older ones is too late to matter
  struct Aggregate {
    ProbeCluster cluster;
    int packets = 0;
    size_t bytes = 0;
    size_t last_sent_bytes = 0;
    size_t first_arrived_bytes = 0;
    Timestamp first_sent;
    Timestamp last_sent;
    Timestamp first_arrived;
    Timestamp last_arrived;
  };
  static std::optional<ProbeResult> Evaluate(const Aggregate& aggregate);

  std::array<Aggregate, kClusters> aggregates_{};
};

}  // namespace nexus
