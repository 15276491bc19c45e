#include "engine/codec/vp8/vp8_rewriter.h"

namespace nexus {

void Vp8Rewriter::Bind() {
  pictures_.Bind();
  tl0_picture_index_.Bind();
}

void Vp8Rewriter::LeaveOut(const Vp8Descriptor& descriptor) {
  if (descriptor.picture_id_bits != 0) pictures_.LeaveOut(descriptor.picture_id, descriptor.picture_id_bits);
}

bool Vp8Rewriter::HasPlace(const Vp8Descriptor& descriptor) const {
  return descriptor.picture_id_bits != 0 &&
         pictures_.HasPlace(descriptor.picture_id, descriptor.picture_id_bits);
}

CodecPatch Vp8Rewriter::Rewrite(const Vp8Descriptor& descriptor, ByteView payload) {
  // A source without counters has nothing to keep continuous.
  if (descriptor.picture_id_bits == 0 && !descriptor.has_tl0_picture_index) return {};
  CodecPatch patch;
  ByteReader in(payload);
  ByteWriter out(patch.bytes);
  out.U8(in.U8());
  out.U8(in.U8());
  if (descriptor.picture_id_bits != 0) {
    in.Skip(descriptor.picture_id_bits == 15 ? 2 : 1);
    out.U16(static_cast<uint16_t>(0x8000 | pictures_.Map(descriptor.picture_id, descriptor.picture_id_bits)));
  }
  if (descriptor.has_tl0_picture_index) {
    in.Skip(1);
    out.U8(static_cast<uint8_t>(tl0_picture_index_.Map(descriptor.tl0_picture_index, 8)));
  }
  patch.size = static_cast<uint8_t>(out.size());
  patch.replaces = static_cast<uint8_t>(in.position());
  return patch;
}

}  // namespace nexus
