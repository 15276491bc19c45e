// Which packets of the encoding that a slot is bound to go on to the subscriber. One of three kinds, chosen
// by what the encoding's first packet tells; each compares a few small numbers that were worked out once for
// all subscribers.
#pragma once

#include <variant>

#include "engine/forward/layer_selector_descriptor.h"
#include "engine/forward/layer_selector_temporal.h"
#include "engine/forward/layer_selector_vp9.h"

namespace nexus {

class LayerSelector {
 public:
  // The highest layers to go up to; the way there waits for a frame at which a decoder can follow.
  void SetLimit(LayerTarget limit);
  // The binding's first packet: a keyframe's.
  void Start(const SourcePacket& first);
  LayerDecision Decide(const SourcePacket& packet);
  // The layer that is really sent.
  LayerTarget current() const;
  // The limit is out of reach until the source sends a keyframe.
  bool wants_keyframe() const;

 private:
  LayerTarget limit_ = kHighestLayer;
  std::variant<TemporalLayerSelector, Vp9LayerSelector, DescriptorLayerSelector> kind_;
};

}  // namespace nexus
