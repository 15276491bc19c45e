// What a layer selector says about one packet.
#pragma once

#include <cstdint>

namespace nexus {

enum class LayerVerdict : uint8_t {
  kForward,
  kLeaveOut,  // of a layer above the slot's: its number is closed up
  kHold,      // cannot be told yet (its structure is missing): its number stays free
};

struct LayerDecision {
  LayerVerdict verdict = LayerVerdict::kForward;
  // The last packet of the picture as this subscriber sees it: the marker, also when the source's stands
  // further up.
  bool ends_picture = false;
  // Decode targets that are forwarded, as a bitmask; 0: what the source says holds.
  uint16_t active_targets = 0;
};

}  // namespace nexus
