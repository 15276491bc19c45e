// Keeps the dependency descriptor's frame numbers continuous across sources and codecs, and gives the
// templates of each new structure numbers of their own, so that a packet can never be read with the structure
// of the source before. Frames that are left out keep their numbers: the differences of others count them.
#pragma once

#include "engine/codec/codec.h"
#include "engine/codec/picture_counter.h"

namespace nexus {

class DescriptorRewriter {
 public:
  void Bind();
  // Whether descriptors are forwarded; true at first. A subscriber that starts to receive them receives a
  // structure first.
  void Forward(bool forward);
  // `active_targets`: the decode targets that this subscriber gets; 0: as the source says. A descriptor whose
  // structure is not known is not forwarded: no receiver could read it.
  DescriptorPatch Rewrite(const DependencyDescriptor& descriptor, uint16_t active_targets = 0);

 private:
  PictureCounter<16> frame_number_;
  bool forward_ = true;
  bool fresh_ = true;           // no structure of this source yet
  uint8_t template_shift_ = 0;  // added to the source's template ids, modulo 64
  uint8_t next_template_ = 0;   // first number behind the structure that was sent last
  bool any_structure_ = false;
};

}  // namespace nexus
