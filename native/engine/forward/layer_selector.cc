#include "engine/forward/layer_selector.h"

namespace nexus {

void LayerSelector::SetLimit(LayerTarget limit) {
  limit_ = limit;
  std::visit([&](auto& kind) { kind.SetLimit(limit); }, kind_);
}

void LayerSelector::Start(const SourcePacket& first) {
  const auto* vp9 = std::get_if<Vp9Descriptor>(&first.frame.descriptor);
  if (first.frame.dependency && first.frame.dependency->selectable()) {
    kind_.emplace<DescriptorLayerSelector>();
  } else if (vp9 != nullptr && vp9->has_layers) {
    kind_.emplace<Vp9LayerSelector>();
  } else {
    kind_.emplace<TemporalLayerSelector>();
  }
  std::visit(
      [&](auto& kind) {
        kind.SetLimit(limit_);
        kind.Start(first);
      },
      kind_);
}

LayerDecision LayerSelector::Decide(const SourcePacket& packet) {
  return std::visit([&](auto& kind) { return kind.Decide(packet); }, kind_);
}

LayerTarget LayerSelector::current() const {
  return std::visit([](const auto& kind) { return kind.current(); }, kind_);
}

bool LayerSelector::wants_keyframe() const {
  return std::visit([](const auto& kind) { return kind.wants_keyframe(); }, kind_);
}

}  // namespace nexus
