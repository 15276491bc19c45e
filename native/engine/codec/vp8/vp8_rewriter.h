// Keeps picture ids (always written with 15 bits) and TL0PICIDX of VP8 continuous across sources.
#pragma once

#include "engine/codec/codec.h"
#include "engine/codec/picture_counter.h"

namespace nexus {

class Vp8Rewriter {
 public:
  void Bind();
  CodecPatch Rewrite(const Vp8Descriptor& descriptor, ByteView payload);

 private:
  PictureCounter<15> picture_id_;
  PictureCounter<8> tl0_picture_index_;
};

}  // namespace nexus
