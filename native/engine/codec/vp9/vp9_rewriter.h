// Keeps picture ids (always written with 15 bits) and TL0PICIDX of VP9 continuous across sources. Differences
// between pictures (P_DIFF) are relative and are not changed.
#pragma once

#include "engine/codec/codec.h"
#include "engine/codec/picture_counter.h"

namespace nexus {

class Vp9Rewriter {
 public:
  void Bind();
  CodecPatch Rewrite(const Vp9Descriptor& descriptor, ByteView payload);

 private:
  PictureCounter<15> picture_id_;
  PictureCounter<8> tl0_picture_index_;
};

}  // namespace nexus
