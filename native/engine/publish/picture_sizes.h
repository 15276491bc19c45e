// Frame sizes of a track's spatial layers: from its keyframes, else from the publisher's description, else by
// the rule that each layer has half the size of the one above.
#pragma once

#include <optional>
#include <span>

#include "engine/codec/picture_size.h"
#include "engine/forward/layer_target.h"

namespace nexus {

class PictureSizes {
 public:
  // Sizes as the publisher describes them, low to high; a size of 0 is not known.
  void Tell(std::span<const PictureSize> announced) {
    for (size_t s = 0; s < announced_.size(); ++s)
      announced_[s] = s < announced.size() ? announced[s] : PictureSize{};
  }
  // A size from a keyframe. True when it has changed.
  bool Learn(size_t spatial, PictureSize size) {
    if (spatial >= seen_.size() || seen_[spatial] == size) return false;
    seen_[spatial] = size;
    return true;
  }
  // The shorter side of a layer's frames, of `count` layers; `largest` is that of the highest when none is
  // known.
  uint32_t Lines(size_t spatial, size_t count, uint32_t largest) const {
    if (Known(spatial) > 0) return Known(spatial);
    for (size_t above = spatial + 1; above < count; ++above) {
      if (Known(above) > 0) return Known(above) >> (above - spatial);
    }
    for (size_t below = spatial; below-- > 0;) {
      if (Known(below) > 0) return Known(below) << (spatial - below);
    }
    return largest >> (count - 1 - spatial);
  }
  // The lowest of `count` layers whose frames have at least so many lines; nothing if none has.
  std::optional<size_t> LowestWith(double lines, size_t count, uint32_t largest) const {
    for (size_t s = 0; s < count; ++s) {
      if (static_cast<double>(Lines(s, count, largest)) >= lines) return s;
    }
    return std::nullopt;
  }

 private:
  uint32_t Known(size_t spatial) const {
    return seen_[spatial].known() ? seen_[spatial].lines() : announced_[spatial].lines();
  }
  std::array<PictureSize, kMaxSpatialLayers> announced_{};
  std::array<PictureSize, kMaxSpatialLayers> seen_{};
};

}  // namespace nexus
