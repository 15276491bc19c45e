// Leaves only the highest spatial layer of each VP9 picture shown. Encoders mark every layer as shown
// (show_frame), because an SFU may leave out the higher ones. A decoder of calls shows the last frame of a
// superframe; others, such as FFmpeg's, show each, and the picture flickers between sizes.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/frames/vp9_header.h"

namespace nexus {

class ShownLayer {
 public:
  // The picture with its lower layers not shown. It is returned as it is if it has one layer, or if that
  // would change how it is decoded: without error resilience, a frame may use motion vectors of a frame that
  // was shown. Every picture of the stream passes through, in order, from a keyframe on.
  std::vector<uint8_t> Apply(ByteView picture);

 private:
  Vp9References references_;
};

}  // namespace nexus
