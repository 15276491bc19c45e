// VP9's uncompressed header (VP9 bitstream specification, section 6.2) up to its end, which depends on the
// sizes of the reference frames.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

struct Vp9FrameSize {
  uint32_t width = 0;  // 0: not known
  uint32_t height = 0;
};

// Sizes of the eight reference frames, as the frames so far have set them.
class Vp9References {
 public:
  const Vp9FrameSize& At(unsigned slot) const { return sizes_[slot & 7]; }
  void Refresh(uint8_t flags, const Vp9FrameSize& size) {
    for (unsigned slot = 0; slot < sizes_.size(); ++slot) {
      if ((flags >> slot & 1) != 0) sizes_[slot] = size;
    }
  }

 private:
  std::array<Vp9FrameSize, 8> sizes_;
};

struct Vp9Header {
  bool show_existing = false;  // the header has nothing else
  bool keyframe = false;
  bool shown = false;
  bool error_resilient = false;
  uint8_t refresh_flags = 0;
  Vp9FrameSize size;
  size_t show_bit = 0;  // position of show_frame; error_resilient_mode follows
  size_t bits = 0;      // of the header, without its padding
};

// Nothing: no VP9 frame, or the size of a reference that it needs is not known.
std::optional<Vp9Header> ParseVp9Header(ByteView frame, const Vp9References& references);

}  // namespace nexus
