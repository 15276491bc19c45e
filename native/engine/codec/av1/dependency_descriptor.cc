#include "engine/codec/av1/dependency_descriptor.h"

#include <algorithm>

namespace nexus {
namespace {

struct ExtendedFields {
  bool custom_indications = false;
  bool custom_frame_diffs = false;
  bool custom_chains = false;
};

// frame_fdiffs()
bool ReadFrameDiffs(BitReader& bits, FrameDiffs& diffs) {
  diffs.count = 0;
  for (uint32_t size = bits.Bits(2); size != 0; size = bits.Bits(2)) {
    if (!bits.ok() || diffs.count == kMaxDdFrameDiffs) return false;
    diffs.values[diffs.count++] = static_cast<uint16_t>(bits.Bits(4 * size) + 1);
  }
  return bits.ok();
}

// frame_dependency_definition(); false if the bits do not fit the syntax.
bool ReadFrame(BitReader& bits, const DependencyStructure& structure, const ExtendedFields& extended,
               DependencyDescriptor& out) {
  // Template ids count modulo 64 from the structure's offset.
  const unsigned index = (out.template_id + 64u - structure.template_id_offset) % 64u;
  if (index >= structure.template_count) return true;
  const DependencyTemplate& given = structure.templates[index];
  out.indications = given.indications;
  out.frame_diffs = given.frame_diffs;
  if (extended.custom_indications) {  // frame_dtis()
    out.indications = {};
    for (unsigned target = 0; target < structure.decode_target_count; ++target) {
      out.indications.Set(target, bits.Bits(2));
    }
  }
  if (extended.custom_frame_diffs && !ReadFrameDiffs(bits, out.frame_diffs)) return false;
  std::array<uint8_t, kMaxDdChains> chains = given.chain_diffs;
  if (extended.custom_chains) {  // frame_chains()
    for (unsigned chain = 0; chain < structure.chain_count; ++chain) {
      chains[chain] = static_cast<uint8_t>(bits.Bits(8));
    }
  }
  if (!bits.ok()) return false;
  out.layer_known = true;
  out.spatial_id = given.spatial_id;
  out.temporal_id = given.temporal_id;
  out.decode_target_count = structure.decode_target_count;
  out.has_chains = structure.chain_count > 0;
  if (structure.has_resolutions) out.resolution = structure.resolutions[given.spatial_id];
  const size_t targets = std::min<size_t>(structure.decode_target_count, kMaxSelectableTargets);
  for (size_t target = 0; target < targets; ++target) {
    out.target_spatial_id[target] = structure.target_spatial_id[target];
    out.target_temporal_id[target] = structure.target_temporal_id[target];
    if (out.has_chains) out.chain_diff[target] = chains[structure.protected_by[target]];
  }
  return true;
}

}  // namespace

std::optional<DependencyDescriptor> ParseDependencyDescriptor(ByteView value, DependencyState& state) {
  // mandatory_descriptor_fields(): start (1) end (1) template id (6) frame number (16)
  BitReader bits(value);
  DependencyDescriptor descriptor;
  descriptor.start_of_frame = bits.Flag();
  descriptor.end_of_frame = bits.Flag();
  descriptor.template_id = static_cast<uint8_t>(bits.Bits(6));
  descriptor.frame_number = static_cast<uint16_t>(bits.Bits(16));
  if (!bits.ok()) return std::nullopt;
  ExtendedFields extended;
  std::optional<DependencyStructure> attached;
  uint32_t active = state.active_targets;
  if (value.size() > 3) {  // extended_descriptor_fields()
    descriptor.has_structure = bits.Flag();
    descriptor.has_active_targets = bits.Flag();
    extended.custom_indications = bits.Flag();
    extended.custom_frame_diffs = bits.Flag();
    extended.custom_chains = bits.Flag();
    if (descriptor.has_structure) {
      attached = ReadDependencyStructure(bits);
      if (!attached) return std::nullopt;
      descriptor.template_id_offset = attached->template_id_offset;
      descriptor.template_count = attached->template_count;
      active = attached->all_targets();
    }
    const DependencyStructure* known = attached ? &*attached : state.structure ? &*state.structure : nullptr;
    if (descriptor.has_active_targets && known != nullptr) active = bits.Bits(known->decode_target_count);
  }
  const DependencyStructure* structure = attached          ? &*attached
                                         : state.structure ? &*state.structure
                                                           : nullptr;
  if (structure != nullptr && !ReadFrame(bits, *structure, extended, descriptor)) return std::nullopt;
  descriptor.active_targets = active;
  if (attached) state.structure = attached;
  // A bitmask that was read with an unrelated structure is ignored.
  if (descriptor.layer_known || attached) state.active_targets = active;
  return descriptor;
}

}  // namespace nexus
