// Spatial and temporal layers of VP9 by its payload descriptor (RFC 9628 section 4.2), flexible mode and not.
// Every layer at or below the slot's is sent, also those that K-SVC refers to in key pictures only: then
// going down needs no keyframe.
#pragma once

#include "engine/forward/layer_decision.h"
#include "engine/forward/layer_target.h"
#include "engine/forward/source_packet.h"
#include "engine/forward/step_list.h"

namespace nexus {

class Vp9LayerSelector {
 public:
  void SetLimit(LayerTarget limit) { limit_ = limit; }
  void Start(const SourcePacket& first);
  LayerDecision Decide(const SourcePacket& packet);
  LayerTarget current() const;
  bool wants_keyframe() const;

 private:
  void Adjust(const SourcePacket& packet, const Vp9Descriptor& vp9);

  LayerTarget limit_ = kHighestLayer;
  LayerTarget seen_;  // highest of the running coded sequence
  StepList<LayerTarget> steps_;
  int64_t newest_ = 0;
  int64_t timestamp_ = 0;          // of the newest picture
  bool temporal_up_next_ = false;  // the picture before was a switching-up point
};

}  // namespace nexus
