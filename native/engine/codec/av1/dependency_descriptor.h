// AV1 dependency descriptor (AV1 RTP specification, appendix A.8). Read as far as forwarding needs it: the
// three mandatory bytes, and the template structure, which is kept per source so that later packets can be
// understood.
#pragma once

#include <array>
#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr size_t kMaxDdTemplates = 64;
inline constexpr size_t kMaxDdDecodeTargets = 32;
inline constexpr size_t kMaxDdChains = 32;

// Of each template only its layer is kept; chains and frame differences are walked over with bounds.
struct DependencyStructure {
  uint8_t template_id_offset = 0;  // 0 .. 63
  uint8_t template_count = 0;      // 1 .. 64
  uint8_t decode_target_count = 0;
  uint8_t chain_count = 0;
  std::array<uint8_t, kMaxDdTemplates> spatial_id{};
  std::array<uint8_t, kMaxDdTemplates> temporal_id{};
};

struct DependencyDescriptor {
  bool start_of_frame = false;
  bool end_of_frame = false;
  uint8_t template_id = 0;
  uint16_t frame_number = 0;
  bool has_structure = false;      // the template structure is attached: only on keyframes
  uint8_t template_id_offset = 0;  // of the attached structure
  uint8_t template_count = 0;
  bool layer_known = false;  // false: the structure that this packet needs is missing
  uint8_t spatial_id = 0;
  uint8_t temporal_id = 0;
};

// `structure` is that of the source and is replaced when one is attached. Nothing when the bytes do not fit
// the syntax; `structure` is then unchanged.
std::optional<DependencyDescriptor> ParseDependencyDescriptor(ByteView value,
                                                              std::optional<DependencyStructure>& structure);

}  // namespace nexus
