#include "engine/codec/av1/av1_rewriter.h"

namespace nexus {
namespace {

constexpr uint8_t kTemplateMask = 0x3F;

}  // namespace

void Av1Rewriter::Bind() {
  frame_number_.Bind();
  fresh_ = true;
}

CodecPatch Av1Rewriter::Rewrite(const DependencyDescriptor& descriptor, ByteView value,
                                uint16_t active_targets) {
  if (value.size() < 3) return {};
  if (descriptor.has_structure) {
    if (fresh_) {
      const uint8_t wanted = any_structure_ ? next_template_ : descriptor.template_id_offset;
      template_shift_ = static_cast<uint8_t>((wanted - descriptor.template_id_offset) & kTemplateMask);
    }
    next_template_ = static_cast<uint8_t>(
        (descriptor.template_id_offset + template_shift_ + descriptor.template_count) & kTemplateMask);
    any_structure_ = true;
  }
  fresh_ = false;

  CodecPatch patch;
  ByteWriter out(patch.bytes);
  out.U8(static_cast<uint8_t>((value[0] & ~kTemplateMask) |
                              ((descriptor.template_id + template_shift_) & kTemplateMask)));
  out.U16(static_cast<uint16_t>(frame_number_.Map(descriptor.frame_number, 16)));
  // Written with as many bits as there are targets, which must be known.
  if (active_targets != 0 && descriptor.selectable()) out.U16(active_targets);
  patch.size = static_cast<uint8_t>(out.size());
  patch.replaces = 3;
  return patch;
}

}  // namespace nexus
