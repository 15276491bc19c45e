// Shares a subscriber's bandwidth over its video slots: everybody's lowest layer first, then the most
// important slots layer by layer up to what they want, then the next; what does not even get its lowest layer
// is paused. What is there stays while it fits; more is given only with room to spare, and later the more
// often it had to be taken back: nothing oscillates.
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
  // Importance, the first that differs decides.
  uint8_t priority = 0;
  bool screen = false;
  bool pinned = false;
  uint32_t area = 0;  // in pixels
  bool speaking = false;
};

struct SlotGrant {
  SlotId slot;
  std::optional<LayerTarget> target;  // nothing: paused for want of bandwidth
};

class BandwidthAllocator {
 public:
  // `budget`: nothing means that no limit is known. `may_pause`: false while the budget is a guess. The
  // grants are in the order of the demands, good until the next call.
  std::span<const SlotGrant> Update(std::span<const SlotDemand> demands, std::optional<int64_t> budget_bps,
                                    bool may_pause, Timestamp now);
  // What all slots at their best would take, and what was granted.
  int64_t wanted_bps() const { return wanted_bps_; }
  int64_t granted_bps() const { return granted_bps_; }
  size_t paused() const { return paused_; }

 private:
  struct State {
    SlotId slot;
    size_t seen = 0;  // in which update
    std::optional<LayerTarget> target;
    bool fresh = true;
    // The last layer that was given anew, and when; what failed, and until when it is not tried again.
    std::optional<LayerTarget> raised_to;
    Timestamp raised{};
    std::optional<LayerTarget> failed;
    Timestamp retry{};
    Duration hold{0};
    Timestamp may_rise{};
    std::optional<Timestamp> starving_since;
  };
  // How far up its ladder a slot gets.
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
  // Scratch.
  std::vector<LayerLadder> ladders_;
  std::vector<size_t> order_;
  std::vector<size_t> keep_;
  std::vector<size_t> ideal_;
  std::vector<size_t> easy_;
  std::vector<SlotGrant> grants_;
};

}  // namespace nexus
