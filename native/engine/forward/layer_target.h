// How far up a track's layers a slot is to go, and what that costs. Spatial counts simulcast encodings (low
// to high) or the spatial layers of one SVC encoding; temporal counts within it.
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

// Bits per second of RTP packets (without UDP, IP and SRTP's tag) that forwarding up to [spatial][temporal]
// takes; 0: that layer is not there. Of an SVC track the lower spatial layers are counted in, of simulcast
// they are not.
using LayerRates = std::array<std::array<uint64_t, kMaxTemporalLayers>, kMaxSpatialLayers>;

}  // namespace nexus
