// Layer demand: the highest layers of a track that any subscriber can use. It is reported to the publisher
// ("dynacast"): a rise at once, a fall only when it has lasted for a while, so that a switched window or a
// short pause does not restart encoders.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/time.h"
#include "engine/forward/layer_target.h"

namespace nexus {

class LayerWishes {
 public:
  explicit LayerWishes(Duration hold) : hold_(hold) {}

  using Wish = std::optional<LayerTarget>;  // nothing: no subscriber can use any

  // True when `told()` has changed and is to be reported.
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

  // The maximum of each dimension: one subscriber needs a high resolution, another a high frame rate.
  static Wish Highest(const Wish& a, const Wish& b) {
    if (!a || !b) return a ? a : b;
    return LayerTarget{std::max(a->spatial, b->spatial), std::max(a->temporal, b->temporal)};
  }

 private:
  Duration hold_;
  Wish told_ = kHighestLayer;  // a publisher sends all until the first report
  std::optional<Timestamp> low_since_;
};

}  // namespace nexus
