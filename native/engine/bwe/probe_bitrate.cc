#include "engine/bwe/probe_bitrate.h"

#include <algorithm>

namespace nexus {
namespace {

constexpr double kEnoughReceived = 0.8;
constexpr Duration kLongestProbe = std::chrono::seconds(1);
// Arrival this much faster than departure shows a queue that was released, not the link's rate.
constexpr double kMaxSpeedUp = 2.0;
// Below this share of the sending rate the link was full, and kUsable of the arrival rate is safe to use.
constexpr double kSaturated = 0.9;
constexpr double kUsable = 0.95;

double Bps(size_t bytes, Duration interval) {
  return static_cast<double>(bytes) * 8e6 / static_cast<double>(std::max<int64_t>(interval.count(), 1));
}

}  // namespace

void ProbeBitrate::Begin(const ProbeCluster& cluster) {
  aggregates_[cluster.id % kClusters] = Aggregate{};
  aggregates_[cluster.id % kClusters].cluster = cluster;
}

std::optional<ProbeResult> ProbeBitrate::OnPacket(const PacketResult& packet) {
  Aggregate& sum = aggregates_[packet.cluster % kClusters];
  if (packet.cluster == kNoProbe || sum.cluster.id != packet.cluster || !packet.arrived) return std::nullopt;
  if (sum.packets == 0 || packet.sent < sum.first_sent) sum.first_sent = packet.sent;
  if (sum.packets == 0 || packet.sent >= sum.last_sent) {
    sum.last_sent = packet.sent;
    sum.last_sent_bytes = packet.size;
  }
  if (sum.packets == 0 || *packet.arrived < sum.first_arrived) {
    sum.first_arrived = *packet.arrived;
    sum.first_arrived_bytes = packet.size;
  }
  if (sum.packets == 0 || *packet.arrived > sum.last_arrived) sum.last_arrived = *packet.arrived;
  ++sum.packets;
  sum.bytes += packet.size;
  if (sum.packets < static_cast<int>(sum.cluster.min_packets * kEnoughReceived)) return std::nullopt;
  if (static_cast<double>(sum.bytes) < static_cast<double>(sum.cluster.min_bytes) * kEnoughReceived)
    return std::nullopt;
  return Evaluate(sum);
}

// Excludes the bytes of the last packet from the sending rate and those of the first from the arrival rate.
std::optional<ProbeResult> ProbeBitrate::Evaluate(const Aggregate& sum) {
  const Duration sending = sum.last_sent - sum.first_sent;
  const Duration receiving = sum.last_arrived - sum.first_arrived;
  if (sending <= Duration(0) || receiving <= Duration(0) || sending > kLongestProbe ||
      receiving > kLongestProbe) {
    return std::nullopt;
  }
  const double sent = Bps(sum.bytes - sum.last_sent_bytes, sending);
  const double received = Bps(sum.bytes - sum.first_arrived_bytes, receiving);
  if (received > kMaxSpeedUp * sent) return std::nullopt;
  ProbeResult result;
  result.cluster = sum.cluster.id;
  result.sustained = sum.cluster.sustained;
  result.sent_bps = static_cast<int64_t>(sent);
  result.received_bps = static_cast<int64_t>(received);
  result.saturated = received < kSaturated * sent;
  result.capacity_bps =
      static_cast<int64_t>(result.saturated ? kUsable * received : std::min(sent, received));
  return result;
}

}  // namespace nexus
