#include "engine/codec/av1/dependency_structure.h"

#include <algorithm>

namespace nexus {
namespace {

// template_layers()
bool ReadTemplateLayers(BitReader& bits, DependencyStructure& structure) {
  uint8_t spatial = 0;
  uint8_t temporal = 0;
  while (true) {
    if (structure.template_count == kMaxDdTemplates) return false;
    if (spatial >= kMaxDdSpatialLayers || temporal >= kMaxDdTemporalLayers) return false;
    DependencyTemplate& added = structure.templates[structure.template_count++];
    added.spatial_id = spatial;
    added.temporal_id = temporal;
    structure.max_spatial_id = spatial;
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

// template_dtis() and, derived from it, decode_target_layers()
void ReadTemplateIndications(BitReader& bits, DependencyStructure& structure) {
  for (unsigned i = 0; i < structure.template_count; ++i) {
    DependencyTemplate& entry = structure.templates[i];
    for (unsigned target = 0; target < structure.decode_target_count; ++target) {
      const uint32_t value = bits.Bits(2);
      entry.indications.Set(target, value);
      if (value == 0) continue;
      uint8_t& spatial = structure.target_spatial_id[target];
      uint8_t& temporal = structure.target_temporal_id[target];
      spatial = std::max(spatial, entry.spatial_id);
      temporal = std::max(temporal, entry.temporal_id);
    }
  }
}

// template_fdiffs()
bool ReadTemplateFrameDiffs(BitReader& bits, DependencyStructure& structure) {
  for (unsigned i = 0; i < structure.template_count; ++i) {
    FrameDiffs& diffs = structure.templates[i].frame_diffs;
    while (bits.Flag()) {
      if (diffs.count == kMaxDdFrameDiffs) return false;
      diffs.values[diffs.count++] = static_cast<uint16_t>(bits.Bits(4) + 1);
    }
  }
  return bits.ok();
}

// template_chains()
bool ReadTemplateChains(BitReader& bits, DependencyStructure& structure) {
  structure.chain_count = static_cast<uint8_t>(bits.NonSymmetric(structure.decode_target_count + 1u));
  if (structure.chain_count == 0) return bits.ok();
  if (structure.chain_count > kMaxDdChains) return false;
  for (unsigned target = 0; target < structure.decode_target_count; ++target) {
    structure.protected_by[target] = static_cast<uint8_t>(bits.NonSymmetric(structure.chain_count));
    if (structure.protected_by[target] >= structure.chain_count) return false;
  }
  for (unsigned i = 0; i < structure.template_count; ++i) {
    for (unsigned chain = 0; chain < structure.chain_count; ++chain) {
      structure.templates[i].chain_diffs[chain] = static_cast<uint8_t>(bits.Bits(4));
    }
  }
  return bits.ok();
}

// render_resolutions()
void ReadResolutions(BitReader& bits, DependencyStructure& structure) {
  structure.has_resolutions = true;
  for (unsigned spatial = 0; spatial <= structure.max_spatial_id; ++spatial) {
    structure.resolutions[spatial].width = bits.Bits(16) + 1;
    structure.resolutions[spatial].height = bits.Bits(16) + 1;
  }
}

}  // namespace

std::optional<DependencyStructure> ReadDependencyStructure(BitReader& bits) {
  DependencyStructure structure;
  structure.template_id_offset = static_cast<uint8_t>(bits.Bits(6));
  structure.decode_target_count = static_cast<uint8_t>(bits.Bits(5) + 1);
  if (!ReadTemplateLayers(bits, structure)) return std::nullopt;
  ReadTemplateIndications(bits, structure);
  if (!ReadTemplateFrameDiffs(bits, structure)) return std::nullopt;
  if (!ReadTemplateChains(bits, structure)) return std::nullopt;
  if (bits.Flag()) ReadResolutions(bits, structure);
  if (!bits.ok()) return std::nullopt;
  return structure;
}

}  // namespace nexus
