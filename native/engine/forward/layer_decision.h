// The decision of a layer selector about one packet.
#pragma once

#include <cstdint>

namespace nexus {

enum class LayerVerdict : uint8_t {
  kForward,
  kLeaveOut,  // its layer is above the slot's: its number is closed up
  kHold,      // not decidable yet (its structure is missing): its number stays free
};

struct LayerDecision {
  LayerVerdict verdict = LayerVerdict::kForward;
  // This is the last packet of the picture for this subscriber and gets the marker, even if the source's
  // marker is on a higher layer.
  bool ends_picture = false;
  // Bitmask of the forwarded decode targets; 0: the source's own bitmask applies.
  uint16_t active_targets = 0;
};

}  // namespace nexus
