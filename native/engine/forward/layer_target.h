// The highest layers that a slot is to forward, and their rates. `spatial` counts simulcast encodings (low to
// high) or the spatial layers of one SVC encoding; `temporal` counts within it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace nexus {

inline constexpr size_t kMaxSpatialLayers = 4;
inline constexpr size_t kMaxTemporalLayers = 4;

struct LayerTarget {
  uint8_t spatial = 0;
  uint8_t temporal = 0;
  friend auto operator<=>(const LayerTarget&, const LayerTarget&) = default;
};

inline constexpr LayerTarget kHighestLayer{kMaxSpatialLayers - 1, kMaxTemporalLayers - 1};

// Bits per second of RTP packets (without UDP, IP and SRTP's tag) for forwarding up to [spatial][temporal];
// 0: no such layer. For an SVC track the lower spatial layers are included, for simulcast they are not.
using LayerRates = std::array<std::array<uint64_t, kMaxTemporalLayers>, kMaxSpatialLayers>;

}  // namespace nexus
