// Selects the packets of the bound encoding that are forwarded to the subscriber. There are three kinds,
// chosen by the encoding's first packet; each compares a few small numbers that were computed once for all
// subscribers.
#pragma once

#include <variant>

#include "engine/forward/layer_selector_descriptor.h"
#include "engine/forward/layer_selector_temporal.h"
#include "engine/forward/layer_selector_vp9.h"

namespace nexus {

class LayerSelector {
 public:
  // Sets the highest layers to forward; switching up waits for a frame at which a decoder can follow.
  void SetLimit(LayerTarget limit);
  // To be called with the binding's first packet, which begins a keyframe.
  void Start(const SourcePacket& first);
  LayerDecision Decide(const SourcePacket& packet);
  // The layer that is currently sent.
  LayerTarget current() const;
  // True if the limit cannot be reached before the source sends a keyframe.
  bool wants_keyframe() const;

 private:
  LayerTarget limit_ = kHighestLayer;
  std::variant<TemporalLayerSelector, Vp9LayerSelector, DescriptorLayerSelector> kind_;
};

}  // namespace nexus
