// The highest layer that a slot is to send.
#pragma once

#include <compare>
#include <cstdint>

namespace nexus {

struct LayerTarget {
  uint8_t spatial = 0;  // encoding (simulcast, low to high) or spatial layer (SVC)
  uint8_t temporal = 0;
  friend auto operator<=>(const LayerTarget&, const LayerTarget&) = default;
};

}  // namespace nexus
