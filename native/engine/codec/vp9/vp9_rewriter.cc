#include "engine/codec/vp9/vp9_rewriter.h"

namespace nexus {

void Vp9Rewriter::Bind() {
  picture_id_.Bind();
  tl0_picture_index_.Bind();
}

CodecPatch Vp9Rewriter::Rewrite(const Vp9Descriptor& descriptor, ByteView payload) {
  if (descriptor.picture_id_bits == 0 && !descriptor.has_tl0_picture_index) return {};
  CodecPatch patch;
  ByteReader in(payload);
  ByteWriter out(patch.bytes);
  out.U8(in.U8());
  if (descriptor.picture_id_bits != 0) {
    in.Skip(descriptor.picture_id_bits == 15 ? 2 : 1);
    out.U16(
        static_cast<uint16_t>(0x8000 | picture_id_.Map(descriptor.picture_id, descriptor.picture_id_bits)));
  }
  if (descriptor.has_tl0_picture_index) {
    out.U8(in.U8());  // TID U SID D
    in.Skip(1);
    out.U8(static_cast<uint8_t>(tl0_picture_index_.Map(descriptor.tl0_picture_index, 8)));
  }
  patch.size = static_cast<uint8_t>(out.size());
  patch.replaces = static_cast<uint8_t>(in.position());
  return patch;
}

}  // namespace nexus
