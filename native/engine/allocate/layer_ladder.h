// The layers of one track in the order in which a slot climbs them: each step costs more than the one before.
// Step 0 sends nothing.
#pragma once

#include <array>

#include "engine/forward/layer_target.h"

namespace nexus {

class LayerLadder {
 public:
  struct Step {
    LayerTarget target;
    uint64_t bps = 0;
  };

  // Layers above `max`, in either dimension, are left out.
  LayerLadder(const LayerRates& rates, LayerTarget max);

  size_t top() const { return count_; }
  // From 1 to top().
  const Step& at(size_t step) const { return steps_[step - 1]; }
  uint64_t bps(size_t step) const { return step == 0 ? 0 : at(step).bps; }
  // The highest step at or below a target; 0 if there is none.
  size_t StepOf(LayerTarget target) const;

 private:
  std::array<Step, kMaxSpatialLayers * kMaxTemporalLayers> steps_{};
  size_t count_ = 0;
};

}  // namespace nexus
