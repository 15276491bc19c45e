#include "engine/allocate/layer_ladder.h"

namespace nexus {

LayerLadder::LayerLadder(const LayerRates& rates, LayerTarget max) {
  for (uint8_t s = 0; s < kMaxSpatialLayers && s <= max.spatial; ++s) {
    for (uint8_t t = 0; t < kMaxTemporalLayers && t <= max.temporal; ++t) {
      const uint64_t bps = rates[s][t];
      // A sharper layer that costs no more replaces the one below.
      while (bps > 0 && count_ > 0 && bps <= steps_[count_ - 1].bps && s > steps_[count_ - 1].target.spatial)
        --count_;
      if (bps == 0 || (count_ > 0 && bps <= steps_[count_ - 1].bps)) continue;
      steps_[count_++] = Step{LayerTarget{s, t}, bps};
    }
  }
}

size_t LayerLadder::StepOf(LayerTarget target) const {
  size_t found = 0;
  for (size_t step = 1; step <= count_; ++step) {
    const LayerTarget& layer = at(step).target;
    const bool within = layer.spatial < target.spatial ||
                        (layer.spatial == target.spatial && layer.temporal <= target.temporal);
    if (within) found = step;
  }
  return found;
}

}  // namespace nexus
