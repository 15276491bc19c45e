// The index at the end of a VP9 superframe (VP9 bitstream specification, Annex B): the sizes of its frames.
// RTP does not carry it (RFC 9628 section 4.2 marks the start of each layer's frame instead). Without it a
// decoder that looks for it, such as FFmpeg's, sees the lowest spatial layer only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

class SuperframeIndex {
 public:
  // Maximum number of frames in a superframe: the index counts them in three bits.
  static constexpr size_t kMaxFrames = 8;

  // Adds the next `size` bytes of the picture; `begins`: they are the first of a frame. False if there are
  // more frames than an index can hold.
  bool Add(size_t size, bool begins);
  size_t frames() const { return count_; }
  // Appends the index if there is more than one frame.
  void Write(std::vector<uint8_t>& out) const;

 private:
  std::array<uint32_t, kMaxFrames> sizes_{};
  size_t count_ = 0;
};

// The frames of a superframe by its index; the whole if there is none, or none that fits.
std::vector<ByteView> SplitSuperframe(ByteView superframe);

}  // namespace nexus
