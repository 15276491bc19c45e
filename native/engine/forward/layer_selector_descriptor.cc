#include "engine/forward/layer_selector_descriptor.h"

#include <algorithm>
#include <tuple>

namespace nexus {

void DescriptorLayerSelector::Start(const SourcePacket& first) {
  newest_ = frame_numbers_.Unwrap(first.frame.dependency->frame_number) - 1;
  timestamp_ = first.timestamp - 1;
  targets_.Start(newest_, kNone);
}

void DescriptorLayerSelector::AdvanceTo(int64_t frame) {
  const int64_t from = std::max(newest_ + 1, frame - kWindow + 1);
  for (int64_t i = from; i <= frame; ++i) {
    decided_.reset(Place(i));
    forwarded_.reset(Place(i));
  }
  newest_ = frame;
}

LayerDecision DescriptorLayerSelector::Decide(const SourcePacket& packet) {
  LayerDecision decision;
  const std::optional<DependencyDescriptor>& dependency = packet.frame.dependency;
  if (!dependency) return decision;
  if (!dependency->layer_known) {
    decision.verdict = LayerVerdict::kHold;
    return decision;
  }
  if (!dependency->selectable()) return decision;
  const int64_t frame = frame_numbers_.Unwrap(dependency->frame_number);
  if (frame > newest_) AdvanceTo(frame);
  const bool forward =
      InWindow(frame) && (decided_[Place(frame)] ? forwarded_[Place(frame)] : DecideFrame(packet, frame));
  if (!forward) {
    decision.verdict = LayerVerdict::kLeaveOut;
    return decision;
  }
  const int8_t target = targets_.At(frame);
  if (target == kNone || target >= dependency->decode_target_count) return decision;
  decision.ends_picture =
      dependency->end_of_frame &&
      dependency->spatial_id == dependency->target_spatial_id[static_cast<size_t>(target)];
  decision.active_targets = ActiveTargets(*dependency, target);
  return decision;
}

bool DescriptorLayerSelector::DecideFrame(const SourcePacket& packet, int64_t frame) {
  const DependencyDescriptor& dependency = *packet.frame.dependency;
  // A late frame is judged by the target that was valid at its time.
  if (frame == newest_) {
    FollowChains(dependency, frame);
    ChooseTarget(packet, frame);
  }
  const int8_t target = targets_.At(frame);
  const bool forward = target != kNone && (dependency.indications.present() >> target & 1u) != 0;
  decided_.set(Place(frame));
  forwarded_[Place(frame)] = forward;
  return forward;
}

void DescriptorLayerSelector::FollowChains(const DependencyDescriptor& dependency, int64_t frame) {
  if (targets_.newest() >= dependency.decode_target_count) targets_.Push(frame, kNone);
  if (!dependency.has_chains) {
    intact_ = UINT32_MAX;  // the source has no chains: only switch indications count
    return;
  }
  for (size_t target = 0; target < dependency.decode_target_count; ++target) {
    const int64_t before = frame - dependency.chain_diff[target];
    if (before == frame) {
      intact_ |= 1u << target;
    } else if (InWindow(before) && decided_[Place(before)]) {
      if (!forwarded_[Place(before)]) intact_ &= ~(1u << target);
    } else if (targets_.newest() == kNone ||
               dependency.chain_diff[target] !=
                   dependency.chain_diff[static_cast<size_t>(targets_.newest())]) {
      // The previous frame of the chain is missing, and will not be sent if it arrives. (In the slot's own
      // chain it will.)
      intact_ &= ~(1u << target);
    }
  }
}

bool DescriptorLayerSelector::HasSent(const FrameDiffs& needed, int64_t frame) const {
  for (size_t i = 0; i < needed.count; ++i) {
    const int64_t before = frame - needed.values[i];
    if (!InWindow(before) || !forwarded_[Place(before)]) return false;
  }
  return true;
}

int8_t DescriptorLayerSelector::Highest(const DependencyDescriptor& dependency, uint32_t among,
                                        LayerTarget limit) const {
  int8_t best = kNone;
  LayerTarget best_layer;
  for (uint8_t target = 0; target < dependency.decode_target_count; ++target) {
    if ((among >> target & 1u) == 0) continue;
    const LayerTarget layer{dependency.target_spatial_id[target], dependency.target_temporal_id[target]};
    if (layer.spatial > limit.spatial || layer.temporal > limit.temporal) continue;
    if (best != kNone && layer < best_layer) continue;
    best = static_cast<int8_t>(target);
    best_layer = layer;
  }
  return best;
}

void DescriptorLayerSelector::ChooseTarget(const SourcePacket& packet, int64_t frame) {
  const DependencyDescriptor& dependency = *packet.frame.dependency;
  const bool new_picture = packet.timestamp != timestamp_;
  timestamp_ = packet.timestamp;
  const uint32_t active = dependency.active_targets;
  const int8_t before = targets_.newest();
  int8_t target = before;
  if (dependency.BeginsKeyframe() || before == kNone || before >= dependency.decode_target_count) {
    narrowed_ = false;
    const uint32_t possible = active & intact_ & dependency.indications.present();
    target = Highest(dependency, possible, limit_);
    if (target == kNone) target = Highest(dependency, possible, kHighestLayer);
  } else {
    const auto layer_of = [&](int8_t of) {
      const auto i = static_cast<size_t>(of);
      return LayerTarget{dependency.target_spatial_id[i], dependency.target_temporal_id[i]};
    };
    const int8_t wanted = Highest(dependency, active, limit_);
    const LayerTarget now = layer_of(before);
    if (new_picture && (now.spatial > limit_.spatial || now.temporal > limit_.temporal)) {
      // Down between pictures. If the lower chain was not sent (K-SVC), reduce the frame rate of the same
      // layer instead.
      const LayerTarget within{std::min(now.spatial, limit_.spatial),
                               std::min(now.temporal, limit_.temporal)};
      int8_t lower = Highest(dependency, active & intact_, within);
      if (lower == kNone) lower = Highest(dependency, active & intact_, {now.spatial, within.temporal});
      if (lower != kNone) target = lower;
    }
    if (wanted != kNone && layer_of(target) < layer_of(wanted)) {
      // Up at a frame with a switch indication that can be decoded itself: the slot has sent everything that
      // the target needs from here on.
      const int8_t higher = Highest(dependency, active & intact_ & dependency.indications.switches(), limit_);
      if (higher != kNone && layer_of(target) < layer_of(higher) && HasSent(dependency.frame_diffs, frame)) {
        target = higher;
      }
    }
    wants_keyframe_ = wanted != kNone && wanted != target && (intact_ >> wanted & 1u) == 0;
  }
  if (dependency.BeginsKeyframe()) {
    wants_keyframe_ = false;
    out_of_reach_ = target != Highest(dependency, active, limit_);
  }
  targets_.Push(frame, target);
  if (target != kNone) {
    layer_ = {dependency.target_spatial_id[static_cast<size_t>(target)],
              dependency.target_temporal_id[static_cast<size_t>(target)]};
  }
}

// Appendix A.8.2.2: the bitmask of active decode targets. Once narrowed, it is sent with every packet until
// the next structure makes all targets active again.
uint16_t DescriptorLayerSelector::ActiveTargets(const DependencyDescriptor& dependency, int8_t target) {
  const auto chosen = static_cast<size_t>(target);
  uint32_t mask = 0;
  for (size_t i = 0; i < dependency.decode_target_count; ++i) {
    if (dependency.target_spatial_id[i] > dependency.target_spatial_id[chosen]) continue;
    if (dependency.target_temporal_id[i] > dependency.target_temporal_id[chosen]) continue;
    mask |= 1u << i;
  }
  mask &= dependency.active_targets & (intact_ | 1u << chosen);
  narrowed_ |= mask != dependency.active_targets;
  return narrowed_ ? static_cast<uint16_t>(mask) : uint16_t{0};
}

}  // namespace nexus
