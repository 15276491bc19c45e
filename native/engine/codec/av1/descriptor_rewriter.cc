#include "engine/codec/av1/descriptor_rewriter.h"

namespace nexus {
namespace {

constexpr uint8_t kTemplateMask = 0x3F;

}  // namespace

void DescriptorRewriter::Bind() {
  frame_number_.Bind();
  fresh_ = true;
}

void DescriptorRewriter::Forward(bool forward) {
  if (forward && !forward_) Bind();
  forward_ = forward;
}

DescriptorPatch DescriptorRewriter::Rewrite(const DependencyDescriptor& descriptor, uint16_t active_targets) {
  DescriptorPatch patch;
  if (!forward_ || !descriptor.layer_known) return patch;
  if (descriptor.has_structure) {
    if (fresh_) {
      const uint8_t wanted = any_structure_ ? next_template_ : descriptor.template_id_offset;
      template_shift_ = static_cast<uint8_t>((wanted - descriptor.template_id_offset) & kTemplateMask);
    }
    next_template_ = static_cast<uint8_t>(
        (descriptor.template_id_offset + template_shift_ + descriptor.template_count) & kTemplateMask);
    any_structure_ = true;
    fresh_ = false;
  }
  // This source's structure was never sent to this subscriber.
  if (fresh_) return patch;
  patch.forwarded = true;
  patch.template_id = static_cast<uint8_t>((descriptor.template_id + template_shift_) & kTemplateMask);
  patch.frame_number = static_cast<uint16_t>(frame_number_.Map(descriptor.frame_number, 16));
  // Written with as many bits as there are targets; more targets than the mask has bits cannot be narrowed.
  if (descriptor.selectable()) patch.active_targets = active_targets;
  return patch;
}

}  // namespace nexus
