// Selects temporal layers by their number only: for VP8, and for every codec without layer information. It
// goes up by one layer at a frame that depends on layer 0 alone (RFC 7741 section 4.2, Y), or at a keyframe;
// down at the next frame.
#pragma once

#include <algorithm>

#include "engine/forward/layer_decision.h"
#include "engine/forward/layer_target.h"
#include "engine/forward/source_packet.h"
#include "engine/forward/step_list.h"

namespace nexus {

class TemporalLayerSelector {
 public:
  void SetLimit(LayerTarget limit) { limit_ = limit.temporal; }
  void Start(const SourcePacket& first) {
    steps_.Start(first.sequence_number, limit_);
    newest_ = first.sequence_number - 1;
  }
  LayerDecision Decide(const SourcePacket& packet) {
    const FrameInfo& frame = packet.frame;
    seen_ = std::max(seen_, frame.temporal_id);
    if (packet.sequence_number > newest_) {
      if (frame.frame_start) Adjust(packet);
      newest_ = packet.sequence_number;
    }
    LayerDecision decision;
    if (frame.temporal_id > steps_.At(packet.sequence_number)) decision.verdict = LayerVerdict::kLeaveOut;
    return decision;
  }
  LayerTarget current() const { return {0, steps_.empty() ? uint8_t{0} : std::min(steps_.newest(), seen_)}; }
  bool wants_keyframe() const { return false; }

 private:
  void Adjust(const SourcePacket& packet) {
    const FrameInfo& frame = packet.frame;
    const uint8_t now = steps_.newest();
    const bool next_up = frame.switching_up && frame.temporal_id == now + 1 && frame.temporal_id <= limit_;
    if (frame.keyframe_start || limit_ < now) {
      steps_.Push(packet.sequence_number, limit_);
    } else if (next_up) {
      steps_.Push(packet.sequence_number, frame.temporal_id);
    }
  }

  uint8_t limit_ = kMaxTemporalLayers - 1;
  uint8_t seen_ = 0;  // highest layer of the source
  StepList<uint8_t> steps_;
  int64_t newest_ = 0;
};

}  // namespace nexus
