// How large the pictures of one layer are, as keyframes tell it where their headers can be read.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "engine/codec/codec.h"

namespace nexus {

struct PictureSize {
  uint16_t width = 0;
  uint16_t height = 0;
  bool known() const { return width > 0 && height > 0; }
  // Of an upright picture the shorter side counts.
  uint16_t lines() const { return std::min(width, height); }
  friend bool operator==(const PictureSize&, const PictureSize&) = default;
};

// Of a keyframe's first packet: RFC 6386 section 9.1 (VP8), RFC 9628 section 4.2.1 (VP9: the highest
// layer's). Nothing when it is not said, or encrypted from end to end.
std::optional<PictureSize> KeyframeSize(ByteView payload, const FrameInfo& frame);

}  // namespace nexus
