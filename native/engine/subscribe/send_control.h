// The state by which one transport limits the rate of its media: estimate, pacing budget, send queue, probe.
#pragma once

#include <optional>

#include "engine/bwe/active_probe.h"
#include "engine/bwe/pacing_budget.h"
#include "engine/bwe/send_side_estimator.h"
#include "engine/subscribe/send_queue.h"

namespace nexus {

struct SendControl {
  SendControl(const BweConfig& config, bool transport_feedback, uint16_t first_sequence)
      : estimator(config, transport_feedback, first_sequence), has_transport_feedback(transport_feedback) {}

  SendSideEstimator estimator;
  bool has_transport_feedback;
  PacingBudget budget;
  SendQueue queue;
  std::optional<ActiveProbe> probe;

  // Counters for stats.
  uint64_t queue_drops = 0;    // the queue was full
  uint64_t expired_drops = 0;  // gone from the ring before their turn
  uint64_t stale_drops = 0;    // queued when their slot switched
  uint64_t probe_packets = 0;  // of pure padding
};

}  // namespace nexus
