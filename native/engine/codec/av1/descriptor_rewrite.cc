#include "engine/codec/av1/descriptor_rewrite.h"

#include "engine/codec/av1/bit_writer.h"

namespace nexus {
namespace {

constexpr uint8_t kTemplateMask = 0x3F;
constexpr size_t kMandatory = 3;

// Copies the structure with its template ids shifted by as much as the packet's own.
bool CopyStructure(BitReader& in, BoundedBitWriter& out, ByteView original, uint8_t shift) {
  BitReader measure(original);
  measure.Skip(in.position());
  if (!ReadDependencyStructure(measure)) return false;
  const uint32_t offset = in.Bits(6);
  out.Bits((offset + shift) & kTemplateMask, 6);
  out.Copy(in, measure.position() - in.position());
  return true;
}

}  // namespace

ByteView WriteRewrittenDescriptor(ByteView original, const DependencyDescriptor& parsed,
                                  const DescriptorPatch& patch, MutableByteView out) {
  if (!patch.forwarded || original.size() < kMandatory) return {};
  const bool has_mask = patch.active_targets != 0;
  BitReader in(original);
  in.Skip(kMandatory * 8);
  BoundedBitWriter bits(out);
  bits.Bits(parsed.start_of_frame, 1);
  bits.Bits(parsed.end_of_frame, 1);
  bits.Bits(patch.template_id, 6);
  bits.Bits(patch.frame_number, 16);
  if (original.size() == kMandatory && !has_mask) return bits.ok() ? bits.written() : ByteView();

  const bool extended = original.size() > kMandatory;
  bits.Bits(extended && in.Flag(), 1);  // template_dependency_structure_present_flag
  const bool had_mask = extended && in.Flag();
  bits.Bits(has_mask || had_mask, 1);  // active_decode_targets_present_flag
  bits.Bits(extended ? in.Bits(3) : 0, 3);
  const auto shift = static_cast<uint8_t>((patch.template_id - parsed.template_id) & kTemplateMask);
  if (parsed.has_structure && !CopyStructure(in, bits, original, shift)) return {};
  const uint32_t mask = had_mask ? in.Bits(parsed.decode_target_count) : 0;
  if (has_mask) {
    bits.Bits(patch.active_targets, parsed.decode_target_count);
  } else if (had_mask) {
    bits.Bits(mask, parsed.decode_target_count);
  }
  if (extended) bits.Copy(in, original.size() * 8 - in.position());
  return bits.ok() && in.ok() ? bits.written() : ByteView();
}

}  // namespace nexus
