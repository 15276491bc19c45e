// What one transport knows and does about the rate at which it sends: the estimate, the budget, what waits,
// what probes.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/allocate/bandwidth_allocator.h"
#include "engine/bwe/active_probe.h"
#include "engine/bwe/pacing_budget.h"
#include "engine/bwe/send_side_estimator.h"
#include "engine/data/data_lane.h"
#include "engine/subscribe/send_queue.h"

namespace nexus {

class SubscriberSlot;

struct SendControl {
  SendControl(const BweConfig& config, bool transport_feedback, uint16_t first_sequence)
      : estimator(config, transport_feedback, first_sequence), has_transport_feedback(transport_feedback) {}

  SendSideEstimator estimator;
  bool has_transport_feedback;
  PacingBudget budget;
  SendQueue queue;
  DataLane data;
  std::optional<ActiveProbe> probe;
  size_t padding_slot = 0;  // whose turn it is

  BandwidthAllocator allocator;
  std::vector<SlotDemand> demands;  // scratch
  std::vector<SubscriberSlot*> demanding;
  Timestamp next_allocation{};
  Timestamp last_allocation{};
  int64_t allocated_for_bps = 0;
  int64_t target_bps = 0;

  // Counted for reports.
  uint64_t queue_drops = 0;    // too much waited
  uint64_t expired_drops = 0;  // gone from the ring before its turn came
  uint64_t stale_drops = 0;    // overtaken by a switch down, while they waited
  uint64_t probe_packets = 0;  // padding
};

}  // namespace nexus
