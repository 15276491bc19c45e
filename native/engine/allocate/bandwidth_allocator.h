// Distributes a subscriber's bandwidth among its video slots: first the lowest layer of each, in order of
// importance; then the further layers, one class of importance after another, and within a class in turns. A
// slot that does not get even its lowest layer is paused. A layer stays while it fits; a higher one is
// granted only with room to spare, and after a longer wait each time that it had to be taken back, so that
// nothing oscillates.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/allocate/layer_ladder.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

struct SlotDemand {
  SlotId slot;
  LayerRates rates{};
  LayerTarget max = kHighestLayer;
  // Importance: the first field that differs decides.
  uint8_t priority = 0;
  bool screen = false;
  bool pinned = false;
  uint32_t area = 0;  // in pixels
  bool speaking = false;
};

struct SlotGrant {
  SlotId slot;
  std::optional<LayerTarget> target;  // nothing: paused for lack of bandwidth
};

class BandwidthAllocator {
 public:
  // `budget`: nothing if no limit is known. `may_pause`: false while the budget is a guess. The grants have
  // the order of the demands and are valid until the next call.
  std::span<const SlotGrant> Update(std::span<const SlotDemand> demands, std::optional<int64_t> budget_bps,
                                    bool may_pause, Timestamp now);
  // Rate of all slots at their best, and the granted rate.
  int64_t wanted_bps() const { return wanted_bps_; }
  int64_t granted_bps() const { return granted_bps_; }
  size_t paused() const { return paused_; }

 private:
  struct State {
    SlotId slot;
    size_t seen = 0;  // number of the last update with this slot
    std::optional<LayerTarget> target;
    bool fresh = true;
    // The last layer that was given, and when; the layer that failed, and when it may be tried again.
    std::optional<LayerTarget> raised_to;
    Timestamp raised{};
    std::optional<LayerTarget> failed;
    Timestamp retry{};
    Duration hold{0};
    Timestamp may_rise{};
    std::optional<Timestamp> starving_since;
  };
  // The highest step of a slot's ladder that fits, by each of the three shares of the budget.
  struct Fits {
    size_t tightly = 0;
    size_t loosely = 0;  // with room to spare
    size_t easily = 0;
  };
  State& StateOf(SlotId slot);
  void Order(std::span<const SlotDemand> demands);
  void Distribute(std::span<const SlotDemand> demands, int64_t budget_bps, std::vector<size_t>& steps);
  size_t Lower(State& state, const LayerLadder& ladder, size_t current, size_t keep, bool may_pause,
               Timestamp now) const;
  size_t Decide(State& state, const LayerLadder& ladder, size_t current, const Fits& fits, bool may_pause,
                Timestamp now) const;

  std::vector<State> states_;
  size_t updates_ = 0;
  int64_t wanted_bps_ = 0;
  int64_t granted_bps_ = 0;
  size_t paused_ = 0;
  // Scratch space.
  std::vector<LayerLadder> ladders_;
  std::vector<size_t> order_;
  std::vector<size_t> keep_;
  std::vector<size_t> ideal_;
  std::vector<size_t> easy_;
  std::vector<SlotGrant> grants_;
};

}  // namespace nexus
