// Checks and converts the frame sizes of a track's encodings or spatial layers.
#pragma once

#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "engine/codec/picture_size.h"

namespace nexus::bindings {

using PySizes = std::vector<std::pair<int64_t, int64_t>>;

inline std::vector<PictureSize> ToPictureSizes(const PySizes& sizes) {
  std::vector<PictureSize> found;
  for (const auto& [width, height] : sizes) {
    if (width < 0 || width > 65'535 || height < 0 || height > 65'535) {
      throw nb::value_error("width and height must be 0 to 65535 pixels");
    }
    found.push_back({static_cast<uint16_t>(width), static_cast<uint16_t>(height)});
  }
  return found;
}

}  // namespace nexus::bindings
