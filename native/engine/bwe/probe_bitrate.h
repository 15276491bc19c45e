// The result of a probe cluster: its sending rate, its arrival rate, and the link's rate that follows.
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
  // Long enough to compete with all other traffic on the link, rather than to use a gap in it.
  bool sustained = false;
};

struct ProbeResult {
  ProbeClusterId cluster = kNoProbe;
  int64_t sent_bps = 0;
  int64_t received_bps = 0;
  // The rate to use; below the sending rate if the probe exceeded the link's rate.
  int64_t capacity_bps = 0;
  bool saturated = false;
  bool sustained = false;
};

class ProbeBitrate {
 public:
  void Begin(const ProbeCluster& cluster);
  // Returns a result as soon as enough packets have arrived, and better ones with more packets.
  std::optional<ProbeResult> OnPacket(const PacketResult& packet);

 private:
  static constexpr size_t kClusters = 8;  // the latest; feedback for older ones is too late
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
