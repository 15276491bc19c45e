// Selects frames of any codec by the dependency descriptor (AV1 RTP specification, appendix A): the highest
// decode target within the limit whose chain was sent without a gap. It does not read payloads.
#pragma once

#include <bitset>

#include "engine/base/unwrap.h"
#include "engine/forward/layer_decision.h"
#include "engine/forward/layer_target.h"
#include "engine/forward/source_packet.h"
#include "engine/forward/step_list.h"

namespace nexus {

class DescriptorLayerSelector {
 public:
  void SetLimit(LayerTarget limit) {
    if (limit_ != limit) out_of_reach_ = false;
    limit_ = limit;
  }
  void Start(const SourcePacket& first);
  LayerDecision Decide(const SourcePacket& packet);
  LayerTarget current() const { return layer_; }
  bool wants_keyframe() const { return wants_keyframe_ && !out_of_reach_; }

 private:
  static constexpr int64_t kWindow = 256;  // number of frames whose decision is remembered
  static constexpr int8_t kNone = -1;

  size_t Place(int64_t frame) const { return static_cast<size_t>(frame) % kWindow; }
  bool InWindow(int64_t frame) const { return frame <= newest_ && frame > newest_ - kWindow; }
  void AdvanceTo(int64_t frame);
  bool DecideFrame(const SourcePacket& packet, int64_t frame);
  void FollowChains(const DependencyDescriptor& dependency, int64_t frame);
  bool HasSent(const FrameDiffs& needed, int64_t frame) const;
  void ChooseTarget(const SourcePacket& packet, int64_t frame);
  int8_t Highest(const DependencyDescriptor& dependency, uint32_t among, LayerTarget limit) const;
  uint16_t ActiveTargets(const DependencyDescriptor& dependency, int8_t target);

  LayerTarget limit_ = kHighestLayer;
  LayerTarget layer_;
  StepList<int8_t> targets_;  // by frame number
  Unwrapper<uint16_t> frame_numbers_;
  int64_t newest_ = 0;
  int64_t timestamp_ = 0;
  uint32_t intact_ = 0;  // decode targets whose chain this slot has sent completely
  std::bitset<kWindow> decided_;
  std::bitset<kWindow> forwarded_;
  bool narrowed_ = false;  // this structure's active targets were narrowed
  bool wants_keyframe_ = false;
  bool out_of_reach_ = false;  // a keyframe did not help: no further request for this limit
};

}  // namespace nexus
