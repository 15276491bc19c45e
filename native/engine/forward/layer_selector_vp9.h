// Selects spatial and temporal layers of VP9 by its payload descriptor (RFC 9628 section 4.2), in flexible
// and non-flexible mode. Frames below the slot's layer to which no higher layer refers (bit Z, as in K-SVC
// outside of key pictures) are left out. A slot can therefore switch down to such a layer only at a key
// picture; until then it gets the lowest frame rate of its current layer.
#pragma once

#include <algorithm>

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
  bool IsSpared(const SourcePacket& packet, const Vp9Descriptor& vp9, const LayerTarget& step);
  void StepDown(LayerTarget& step) const;
  void FollowTop(bool new_picture, uint8_t spatial);
  uint8_t Highest() const { return std::min(steps_.newest().spatial, seen_.spatial); }
  void Adjust(const SourcePacket& packet, const Vp9Descriptor& vp9);

  LayerTarget limit_ = kHighestLayer;
  LayerTarget seen_;          // highest of the current coded sequence
  uint8_t picture_top_ = 0;   // highest layer of the current picture
  uint8_t without_top_ = 0;   // consecutive pictures without a frame of `seen_.spatial`
  uint8_t top_of_those_ = 0;  // the highest layer of those pictures
  StepList<LayerTarget> steps_;
  int64_t newest_ = 0;
  int64_t timestamp_ = 0;          // of the newest picture
  int64_t key_from_ = 0;           // the first packet of the newest key picture
  uint8_t missed_ = 0;             // bitmask of spatial layers with a frame left out since then
  bool temporal_up_next_ = false;  // the previous picture was a switching-up point
};

}  // namespace nexus
