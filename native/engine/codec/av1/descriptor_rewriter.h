// Keeps the dependency descriptor's frame numbers continuous across sources and codecs, and gives the
// templates of each new structure their own ids, so that a packet cannot be read with the structure of the
// previous source. Frames that are left out keep their numbers, because the frame differences of other frames
// count them.
#pragma once

#include "engine/codec/codec.h"
#include "engine/codec/picture_counter.h"

namespace nexus {

class DescriptorRewriter {
 public:
  void Bind();
  // Enables forwarding of descriptors, initially true. A subscriber that starts to receive them first
  // receives a structure.
  void Forward(bool forward);
  // `active_targets`: the decode targets that are forwarded to this subscriber; 0: the source's own bitmask
  // applies. A descriptor without a known structure is not forwarded, because no receiver could read it.
  DescriptorPatch Rewrite(const DependencyDescriptor& descriptor, uint16_t active_targets = 0);

 private:
  PictureCounter<16> frame_number_;
  bool forward_ = true;
  bool fresh_ = true;           // no structure of this source yet
  uint8_t template_shift_ = 0;  // added to the source's template ids, modulo 64
  uint8_t next_template_ = 0;   // first id after those of the last structure sent
  bool any_structure_ = false;
};

}  // namespace nexus
