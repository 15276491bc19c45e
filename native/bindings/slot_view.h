// Checks and converts a subscriber's view of a video slot.
#pragma once

#include "bindings/bindings.h"
#include "engine/control/command.h"

namespace nexus::bindings {

inline int64_t Within(int64_t value, int64_t most, const char* name) {
  if (value < 0 || value > most) throw nb::value_error((std::string(name) + " is out of range").c_str());
  return value;
}

inline SlotView ToSlotView(int64_t width, int64_t height, int64_t priority, bool pinned, bool visible,
                           std::optional<int64_t> max_spatial, std::optional<int64_t> max_temporal) {
  SlotView view;
  view.width = static_cast<uint16_t>(Within(width, 65'535, "width"));
  view.height = static_cast<uint16_t>(Within(height, 65'535, "height"));
  view.priority = static_cast<uint8_t>(Within(priority, 255, "priority"));
  view.pinned = pinned;
  view.visible = visible;
  if (max_spatial.has_value() != max_temporal.has_value()) {
    throw nb::value_error("give both max_spatial and max_temporal, or neither");
  }
  if (!max_spatial) return view;
  view.max = LayerTarget{static_cast<uint8_t>(Within(*max_spatial, 7, "max_spatial")),
                         static_cast<uint8_t>(Within(*max_temporal, 7, "max_temporal"))};
  return view;
}

}  // namespace nexus::bindings
