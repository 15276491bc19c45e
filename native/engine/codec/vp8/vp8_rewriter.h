// Keeps picture ids (always written with 15 bits) and TL0PICIDX of VP8 continuous across sources and temporal
// layers that are left out: a receiver would wait for a missing picture id.
#pragma once

#include "engine/codec/codec.h"
#include "engine/codec/picture_counter.h"
#include "engine/codec/picture_numbers.h"

namespace nexus {

class Vp8Rewriter {
 public:
  void Bind();
  // TL0PICIDX does not change: it counts pictures of layer 0, which are never left out (RFC 7741 section
  // 4.2).
  void LeaveOut(const Vp8Descriptor& descriptor);
  bool HasPlace(const Vp8Descriptor& descriptor) const;
  CodecPatch Rewrite(const Vp8Descriptor& descriptor, ByteView payload);

 private:
  PictureNumbers pictures_;
  PictureCounter<8> tl0_picture_index_;
};

}  // namespace nexus
