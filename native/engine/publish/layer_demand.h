// Layer demand: the highest layers of a track that any subscriber can use. It is reported to the publisher
// ("dynacast"): a rise at once, a fall only when it has lasted for a while, so that a switched window or a
// short pause does not restart encoders.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/time.h"
#include "engine/forward/layer_target.h"

namespace nexus {

using LayerDemand = std::optional<LayerTarget>;  // nothing: no subscriber can use any

// The maximum of each dimension: one subscriber needs a high resolution, another a high frame rate.
inline LayerDemand HighestDemand(const LayerDemand& a, const LayerDemand& b) {
  if (!a || !b) return a ? a : b;
  return LayerTarget{std::max(a->spatial, b->spatial), std::max(a->temporal, b->temporal)};
}

// The demand that was last reported to the publisher.
class ReportedDemand {
 public:
  explicit ReportedDemand(Duration hold) : hold_(hold) {}

  // True when `reported()` has changed and is to be reported.
  bool Update(const LayerDemand& demand, Timestamp now) {
    const LayerDemand risen = HighestDemand(reported_, demand);
    if (risen != reported_) {
      reported_ = risen;
      low_since_.reset();
      if (demand != reported_) low_since_ = now;
      return true;
    }
    if (demand == reported_) {
      low_since_.reset();
      return false;
    }
    if (!low_since_) low_since_ = now;
    if (now < *low_since_ + hold_) return false;
    reported_ = demand;
    low_since_.reset();
    return true;
  }
  const LayerDemand& reported() const { return reported_; }
  Timestamp next_deadline() const { return low_since_ ? *low_since_ + hold_ : kNever; }

 private:
  Duration hold_;
  LayerDemand reported_ = kHighestLayer;  // a publisher sends all until the first report
  std::optional<Timestamp> low_since_;
};

}  // namespace nexus
