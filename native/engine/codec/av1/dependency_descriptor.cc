#include "engine/codec/av1/dependency_descriptor.h"

#include "engine/codec/av1/bit_reader.h"

namespace nexus {
namespace {

constexpr unsigned kSpatialLayers = 4;  // A.8.3.1: at most four spatial and eight temporal layers
constexpr unsigned kTemporalLayers = 8;

// template_layers()
bool ReadTemplateLayers(BitReader& bits, DependencyStructure& structure) {
  uint8_t spatial = 0;
  uint8_t temporal = 0;
  while (true) {
    if (structure.template_count == kMaxDdTemplates) return false;
    if (spatial >= kSpatialLayers || temporal >= kTemporalLayers) return false;
    structure.spatial_id[structure.template_count] = spatial;
    structure.temporal_id[structure.template_count] = temporal;
    ++structure.template_count;
    switch (bits.Bits(2)) {  // next_layer_idc
      case 0:
        break;
      case 1:
        ++temporal;
        break;
      case 2:
        temporal = 0;
        ++spatial;
        break;
      default:
        return bits.ok();
    }
    if (!bits.ok()) return false;
  }
}

// template_chains(); the values do not matter to forwarding, only that they are there.
bool SkipTemplateChains(BitReader& bits, DependencyStructure& structure) {
  structure.chain_count = static_cast<uint8_t>(bits.NonSymmetric(structure.decode_target_count + 1u));
  if (structure.chain_count == 0) return bits.ok();
  for (unsigned i = 0; i < structure.decode_target_count; ++i) (void)bits.NonSymmetric(structure.chain_count);
  bits.Skip(size_t{4} * structure.template_count * structure.chain_count);
  return bits.ok();
}

// template_dependency_structure()
std::optional<DependencyStructure> ReadStructure(BitReader& bits) {
  DependencyStructure structure;
  structure.template_id_offset = static_cast<uint8_t>(bits.Bits(6));
  structure.decode_target_count = static_cast<uint8_t>(bits.Bits(5) + 1);
  if (!ReadTemplateLayers(bits, structure)) return std::nullopt;
  bits.Skip(size_t{2} * structure.template_count * structure.decode_target_count);  // template_dtis()
  for (unsigned i = 0; i < structure.template_count; ++i) {                         // template_fdiffs()
    while (bits.Flag()) bits.Skip(4);
  }
  if (!SkipTemplateChains(bits, structure)) return std::nullopt;
  if (bits.Flag()) {  // resolutions_present_flag: one for each spatial layer
    bits.Skip(size_t{32} * (structure.spatial_id[structure.template_count - 1u] + 1u));
  }
  if (!bits.ok()) return std::nullopt;
  return structure;
}

}  // namespace

std::optional<DependencyDescriptor> ParseDependencyDescriptor(ByteView value,
                                                              std::optional<DependencyStructure>& structure) {
  // mandatory_descriptor_fields(): start (1) end (1) template id (6) frame number (16)
  BitReader bits(value);
  DependencyDescriptor descriptor;
  descriptor.start_of_frame = bits.Flag();
  descriptor.end_of_frame = bits.Flag();
  descriptor.template_id = static_cast<uint8_t>(bits.Bits(6));
  descriptor.frame_number = static_cast<uint16_t>(bits.Bits(16));
  if (!bits.ok()) return std::nullopt;
  if (value.size() > 3) {  // extended_descriptor_fields()
    descriptor.has_structure = bits.Flag();
    bits.Skip(4);  // active_decode_targets, custom_dtis, custom_fdiffs, custom_chains
    if (descriptor.has_structure) {
      const auto attached = ReadStructure(bits);
      if (!attached) return std::nullopt;
      structure = attached;
      descriptor.template_id_offset = attached->template_id_offset;
      descriptor.template_count = attached->template_count;
    }
  }
  if (!structure) return descriptor;
  // Template ids count modulo 64 from the structure's offset.
  const unsigned index = (descriptor.template_id + 64u - structure->template_id_offset) % 64u;
  if (index < structure->template_count) {
    descriptor.layer_known = true;
    descriptor.spatial_id = structure->spatial_id[index];
    descriptor.temporal_id = structure->temporal_id[index];
  }
  return descriptor;
}

}  // namespace nexus
