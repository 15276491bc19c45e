// The template dependency structure of the AV1 dependency descriptor (AV1 RTP specification, appendix A.8.2):
// a keyframe's description of all frames that follow it. There is one per source; every count is bounded by
// the syntax and by the arrays here (hard problem 18).
#pragma once

#include <array>
#include <optional>

#include "engine/codec/av1/bit_reader.h"

namespace nexus {

inline constexpr size_t kMaxDdTemplates = 64;
inline constexpr size_t kMaxDdDecodeTargets = 32;
inline constexpr size_t kMaxDdChains = 32;
inline constexpr size_t kMaxDdFrameDiffs = 8;  // AV1 frames refer to at most seven others
inline constexpr size_t kMaxDdSpatialLayers = 4;
inline constexpr size_t kMaxDdTemporalLayers = 8;

// Table A.1: relation of a frame to a decode target.
enum class DecodeTargetIndication : uint8_t { kNotPresent = 0, kDiscardable = 1, kSwitch = 2, kRequired = 3 };

// Indications of all decode targets, two bits each, stored apart, so that one comparison tests all of them.
struct DecodeTargetIndications {
  uint32_t high = 0;
  uint32_t low = 0;
  void Set(unsigned target, uint32_t value) {
    high |= (value >> 1 & 1u) << target;
    low |= (value & 1u) << target;
  }
  DecodeTargetIndication of(unsigned target) const {
    return static_cast<DecodeTargetIndication>((high >> target & 1u) << 1 | (low >> target & 1u));
  }
  uint32_t present() const { return high | low; }
  uint32_t switches() const { return high & ~low; }
  friend bool operator==(const DecodeTargetIndications&, const DecodeTargetIndications&) = default;
};

struct FrameDiffs {
  uint8_t count = 0;
  std::array<uint16_t, kMaxDdFrameDiffs> values{};  // distances in frame numbers
};

struct DependencyTemplate {
  uint8_t spatial_id = 0;
  uint8_t temporal_id = 0;
  DecodeTargetIndications indications;
  FrameDiffs frame_diffs;
  std::array<uint8_t, kMaxDdChains> chain_diffs{};
};

struct RenderResolution {
  uint32_t width = 0;
  uint32_t height = 0;
};

struct DependencyStructure {
  uint8_t template_id_offset = 0;  // 0 .. 63
  uint8_t template_count = 0;      // 1 .. 64
  uint8_t decode_target_count = 0;
  uint8_t chain_count = 0;
  uint8_t max_spatial_id = 0;
  std::array<DependencyTemplate, kMaxDdTemplates> templates{};
  std::array<uint8_t, kMaxDdDecodeTargets> protected_by{};  // chain of each decode target
  // Highest layers of each decode target (decode_target_layers()).
  std::array<uint8_t, kMaxDdDecodeTargets> target_spatial_id{};
  std::array<uint8_t, kMaxDdDecodeTargets> target_temporal_id{};
  bool has_resolutions = false;
  std::array<RenderResolution, kMaxDdSpatialLayers> resolutions{};

  uint32_t all_targets() const {
    return decode_target_count >= 32 ? UINT32_MAX : (1u << decode_target_count) - 1;
  }
};

// Nothing if the bits do not fit the syntax or the bounds.
std::optional<DependencyStructure> ReadDependencyStructure(BitReader& bits);

}  // namespace nexus
