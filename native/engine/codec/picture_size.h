// The frame size that a keyframe's header contains (VP8, VP9), if the payload is readable.
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
  // Number of lines; of an upright frame the shorter side counts.
  uint16_t lines() const { return std::min(width, height); }
  friend bool operator==(const PictureSize&, const PictureSize&) = default;
};

// Size in a keyframe's first packet: RFC 6386 section 9.1 (VP8), RFC 9628 section 4.2.1 (VP9: of the highest
// layer). Nothing if it is absent or end-to-end encrypted.
std::optional<PictureSize> KeyframeSize(ByteView payload, const FrameInfo& frame);

}  // namespace nexus
