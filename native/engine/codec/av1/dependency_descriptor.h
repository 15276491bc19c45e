// The AV1 dependency descriptor (AV1 RTP specification, appendix A) of one packet. It describes the frames of
// any codec, so that layers are selected and keyframes found without reading the payload, which may be
// encrypted.
#pragma once

#include <array>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/codec/av1/dependency_structure.h"

namespace nexus {

// Four spatial times four temporal layers. With more decode targets all layers are forwarded.
inline constexpr size_t kMaxSelectableTargets = 16;

// Everything that is the same for all subscribers is computed here, once per packet. The tables of the decode
// targets are copied from the structure, so that a stored packet stays readable after the next structure has
// replaced it.
struct DependencyDescriptor {
  bool start_of_frame = false;
  bool end_of_frame = false;
  uint8_t template_id = 0;
  uint16_t frame_number = 0;
  bool has_structure = false;       // the template structure is attached: only on keyframes
  bool has_active_targets = false;  // this packet contains the bitmask
  uint8_t template_id_offset = 0;   // of the attached structure
  uint8_t template_count = 0;
  // False: the structure that this packet needs is missing, and nothing below is known.
  bool layer_known = false;
  uint8_t spatial_id = 0;
  uint8_t temporal_id = 0;
  uint8_t decode_target_count = 0;
  bool has_chains = false;
  DecodeTargetIndications indications;
  FrameDiffs frame_diffs;  // empty: the frame needs no other
  uint32_t active_targets = 0;
  // For each decode target: its highest layers, and the distance to the previous frame of the chain that
  // protects it (0: this frame begins the chain).
  std::array<uint8_t, kMaxSelectableTargets> target_spatial_id{};
  std::array<uint8_t, kMaxSelectableTargets> target_temporal_id{};
  std::array<uint8_t, kMaxSelectableTargets> chain_diff{};
  RenderResolution resolution;  // of its spatial layer; 0: unknown

  bool selectable() const { return layer_known && decode_target_count <= kMaxSelectableTargets; }
  // True for the first packet with which a decoder without earlier frames can begin.
  bool BeginsKeyframe() const {
    return has_structure && start_of_frame && layer_known && spatial_id == 0 && frame_diffs.count == 0;
  }
};

// Accumulated state of a source.
struct DependencyState {
  std::optional<DependencyStructure> structure;
  uint32_t active_targets = 0;
};

// Nothing if the bytes do not fit the syntax; the state is then unchanged.
std::optional<DependencyDescriptor> ParseDependencyDescriptor(ByteView value, DependencyState& state);

}  // namespace nexus
