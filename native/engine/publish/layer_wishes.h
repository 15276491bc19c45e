// The highest layers of a track that anybody wants, as its publisher is told ("dynacast"): up at once, down
// only when it has stayed low for a while, so that a switched window or a short pause does not restart
// encoders.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/time.h"
#include "engine/forward/layer_target.h"

namespace nexus {

class LayerWishes {
 public:
  explicit LayerWishes(Duration hold) : hold_(hold) {}

  using Wish = std::optional<LayerTarget>;  // nothing: nobody wants any

  // True when `told()` has changed and is to be told.
  bool Update(const Wish& wanted, Timestamp now) {
    const Wish risen = Highest(told_, wanted);
    if (risen != told_) {
      told_ = risen;
      low_since_.reset();
      if (wanted != told_) low_since_ = now;
      return true;
    }
    if (wanted == told_) {
      low_since_.reset();
      return false;
    }
    if (!low_since_) low_since_ = now;
    if (now < *low_since_ + hold_) return false;
    told_ = wanted;
    low_since_.reset();
    return true;
  }
  const Wish& told() const { return told_; }
  Timestamp next_deadline() const { return low_since_ ? *low_since_ + hold_ : kNever; }

  // Each dimension for itself: one wants sharp and slow, another small and smooth.
  static Wish Highest(const Wish& a, const Wish& b) {
    if (!a || !b) return a ? a : b;
    return LayerTarget{std::max(a->spatial, b->spatial), std::max(a->temporal, b->temporal)};
  }

 private:
  Duration hold_;
  Wish told_ = kHighestLayer;  // what a publisher sends unless told otherwise
  std::optional<Timestamp> low_since_;
};

}  // namespace nexus
