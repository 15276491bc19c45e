#include "engine/forward/layer_selector_vp9.h"

#include <algorithm>

namespace nexus {
namespace {

// Number of pictures without a layer after which the layer counts as stopped. Publishers occasionally drop a
// frame of an upper layer, and stop layers without notice.
constexpr uint8_t kPicturesUntilGone = 8;

}  // namespace

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
    seen_.temporal = std::max(seen_.temporal, vp9->temporal_id);
  }
  const LayerTarget& step = steps_.At(packet.sequence_number);
  if (vp9->spatial_id > step.spatial || vp9->temporal_id > step.temporal || IsSpared(packet, *vp9, step)) {
    decision.verdict = LayerVerdict::kLeaveOut;
  }
  decision.ends_picture = vp9->end_of_frame && vp9->spatial_id == step.spatial;
  return decision;
}

// RFC 9628 section 4.2, Z: "frames with higher spatial layers SID+1 of the current and following pictures do
// not depend on the current spatial layer SID frame".
bool Vp9LayerSelector::IsSpared(const SourcePacket& packet, const Vp9Descriptor& vp9,
                                const LayerTarget& step) {
  if (!vp9.not_reference || vp9.spatial_id >= std::min(step.spatial, seen_.spatial)) return false;
  if (packet.sequence_number >= key_from_) missed_ = static_cast<uint8_t>(missed_ | 1 << vp9.spatial_id);
  return true;
}

void Vp9LayerSelector::FollowTop(bool new_picture, uint8_t spatial) {
  if (new_picture) {
    if (picture_top_ >= seen_.spatial) {
      without_top_ = top_of_those_ = 0;
    } else {
      top_of_those_ = std::max(top_of_those_, picture_top_);
      if (++without_top_ == kPicturesUntilGone) {
        seen_.spatial = top_of_those_;
        without_top_ = top_of_those_ = 0;
      }
    }
    picture_top_ = 0;
  }
  picture_top_ = std::max(picture_top_, spatial);
  seen_.spatial = std::max(seen_.spatial, spatial);
}

void Vp9LayerSelector::StepDown(LayerTarget& step) const {
  step.temporal = std::min(step.temporal, limit_.temporal);
  if (limit_.spatial >= step.spatial) return;
  if ((missed_ >> limit_.spatial & 1) == 0) {
    step.spatial = limit_.spatial;
  } else {
    step.temporal = 0;  // until the requested key picture
  }
}

void Vp9LayerSelector::Adjust(const SourcePacket& packet, const Vp9Descriptor& vp9) {
  LayerTarget step = steps_.newest();
  const bool new_picture = packet.timestamp != timestamp_;
  timestamp_ = packet.timestamp;
  if (!vp9.inter_predicted && vp9.spatial_id == 0) {
    // A key picture: every layer can begin here.
    seen_ = {};
    picture_top_ = without_top_ = top_of_those_ = 0;
    missed_ = 0;
    key_from_ = packet.sequence_number;
    temporal_up_next_ = false;
    return steps_.Push(packet.sequence_number, limit_);
  }
  FollowTop(new_picture, vp9.spatial_id);
  if (new_picture) {
    // Down only between pictures, because the last layer of a picture has its marker.
    StepDown(step);
    if (temporal_up_next_) step.temporal = limit_.temporal;
    temporal_up_next_ = false;
    // An up-switch to this picture's own layer: browsers set U if the picture refers only to lower layers.
    if (vp9.switching_up && vp9.temporal_id == step.temporal + 1 && vp9.temporal_id <= limit_.temporal) {
      step.temporal = vp9.temporal_id;
    } else if (vp9.switching_up && vp9.temporal_id <= step.temporal) {
      // As in the RFC: later pictures refer to nothing above this picture's layer from before it.
      temporal_up_next_ = true;
    }
  }
  // One spatial layer up, at a frame that refers to no other picture, if the layer below is being sent.
  if (!vp9.inter_predicted && vp9.spatial_id == step.spatial + 1 && vp9.spatial_id <= limit_.spatial &&
      vp9.temporal_id <= step.temporal) {
    step.spatial = vp9.spatial_id;
  }
  steps_.Push(packet.sequence_number, step);
}

LayerTarget Vp9LayerSelector::current() const {
  if (steps_.empty()) return {};
  return {Highest(), std::min(steps_.newest().temporal, seen_.temporal)};
}

bool Vp9LayerSelector::wants_keyframe() const {
  if (steps_.empty()) return false;
  const bool up = steps_.newest().spatial < std::min(limit_.spatial, seen_.spatial);
  // The frames that it would continue from were not sent: the limit was lowered, or the layers above have
  // stopped.
  return up || (missed_ >> std::min(Highest(), limit_.spatial) & 1) != 0;
}

}  // namespace nexus
