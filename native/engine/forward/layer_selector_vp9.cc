#include "engine/forward/layer_selector_vp9.h"

#include <algorithm>

namespace nexus {

void Vp9LayerSelector::Start(const SourcePacket& first) {
  steps_.Start(first.sequence_number, limit_);
  newest_ = first.sequence_number - 1;
  timestamp_ = first.timestamp - 1;
}

LayerDecision Vp9LayerSelector::Decide(const SourcePacket& packet) {
  LayerDecision decision;
  const auto* vp9 = std::get_if<Vp9Descriptor>(&packet.frame.descriptor);
  if (vp9 == nullptr) return decision;
  if (packet.sequence_number > newest_) {
    newest_ = packet.sequence_number;
    if (vp9->start_of_frame) Adjust(packet, *vp9);
    seen_.spatial = std::max(seen_.spatial, vp9->spatial_id);
    seen_.temporal = std::max(seen_.temporal, vp9->temporal_id);
  }
  const LayerTarget& step = steps_.At(packet.sequence_number);
  if (vp9->spatial_id > step.spatial || vp9->temporal_id > step.temporal) {
    decision.verdict = LayerVerdict::kLeaveOut;
  }
  decision.ends_picture = vp9->end_of_frame && vp9->spatial_id == step.spatial;
  return decision;
}

void Vp9LayerSelector::Adjust(const SourcePacket& packet, const Vp9Descriptor& vp9) {
  LayerTarget step = steps_.newest();
  const bool new_picture = packet.timestamp > timestamp_;
  timestamp_ = std::max(timestamp_, packet.timestamp);
  if (!vp9.inter_predicted && vp9.spatial_id == 0) {
    // A key picture: everything can begin here.
    seen_ = {};
    temporal_up_next_ = false;
    return steps_.Push(packet.sequence_number, limit_);
  }
  if (new_picture) {
    // Down only between pictures: the last layer of a picture carries its marker.
    step.spatial = std::min(step.spatial, limit_.spatial);
    step.temporal = std::min(step.temporal, limit_.temporal);
    if (temporal_up_next_) step.temporal = limit_.temporal;
    temporal_up_next_ = false;
    // An up-switch to this picture's own layer: browsers set U where it refers to lower layers alone.
    if (vp9.switching_up && vp9.temporal_id == step.temporal + 1 && vp9.temporal_id <= limit_.temporal) {
      step.temporal = vp9.temporal_id;
    } else if (vp9.switching_up && vp9.temporal_id <= step.temporal) {
      // As the RFC has it: what follows refers to nothing above this picture's layer from before it.
      temporal_up_next_ = true;
    }
  }
  // One spatial layer up, at a frame that refers to no other picture; the layer below it is being sent.
  if (!vp9.inter_predicted && vp9.spatial_id == step.spatial + 1 && vp9.spatial_id <= limit_.spatial &&
      vp9.temporal_id <= step.temporal) {
    step.spatial = vp9.spatial_id;
  }
  steps_.Push(packet.sequence_number, step);
}

LayerTarget Vp9LayerSelector::current() const {
  if (steps_.empty()) return {};
  return {std::min(steps_.newest().spatial, seen_.spatial),
          std::min(steps_.newest().temporal, seen_.temporal)};
}

bool Vp9LayerSelector::wants_keyframe() const {
  return !steps_.empty() && steps_.newest().spatial < std::min(limit_.spatial, seen_.spatial);
}

}  // namespace nexus
