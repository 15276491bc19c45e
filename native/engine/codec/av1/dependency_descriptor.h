// The AV1 dependency descriptor (AV1 RTP specification, appendix A), of one packet. It describes the frames
// of any codec, so layers can be chosen and keyframes found without a byte of the payload, encrypted or not.
#pragma once

#include <array>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/codec/av1/dependency_structure.h"

namespace nexus {

// Four spatial times four temporal layers. A structure with more decode targets is passed on whole.
inline constexpr size_t kMaxSelectableTargets = 16;

// What is the same for all subscribers is worked out here, once per packet: the tables of chosen decode
// targets are copied out of the structure, so that a stored packet stays readable when the next structure has
// replaced it.
struct DependencyDescriptor {
  bool start_of_frame = false;
  bool end_of_frame = false;
  uint8_t template_id = 0;
  uint16_t frame_number = 0;
  bool has_structure = false;       // the template structure is attached: only on keyframes
  bool has_active_targets = false;  // the bitmask stands in this packet
  uint8_t template_id_offset = 0;   // of the attached structure
  uint8_t template_count = 0;
  // False: the structure that this packet needs is missing; nothing below is known.
  bool layer_known = false;
  uint8_t spatial_id = 0;
  uint8_t temporal_id = 0;
  uint8_t decode_target_count = 0;
  bool has_chains = false;
  DecodeTargetIndications indications;
  FrameDiffs frame_diffs;  // none: the frame needs no other
  uint32_t active_targets = 0;
  // Of each decode target: its highest layers, and how far back the frame before in the chain that protects
  // it is (0: this frame begins the chain).
  std::array<uint8_t, kMaxSelectableTargets> target_spatial_id{};
  std::array<uint8_t, kMaxSelectableTargets> target_temporal_id{};
  std::array<uint8_t, kMaxSelectableTargets> chain_diff{};
  RenderResolution resolution;  // of its spatial layer; 0: not told

  bool selectable() const { return layer_known && decode_target_count <= kMaxSelectableTargets; }
  // The first packet that a decoder which has seen nothing can begin with.
  bool BeginsKeyframe() const {
    return has_structure && start_of_frame && layer_known && spatial_id == 0 && frame_diffs.count == 0;
  }
};

// What a source told so far.
struct DependencyState {
  std::optional<DependencyStructure> structure;
  uint32_t active_targets = 0;
};

// Nothing when the bytes do not fit the syntax; the state is then unchanged.
std::optional<DependencyDescriptor> ParseDependencyDescriptor(ByteView value, DependencyState& state);

}  // namespace nexus
