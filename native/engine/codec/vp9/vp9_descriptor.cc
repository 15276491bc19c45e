#include "engine/codec/vp9/vp9_descriptor.h"

namespace nexus {
namespace {

// RFC 9628 §4.2.1: N_S (3) Y G -- | widths and heights | N_G | for each picture TID U R -- and R times P_DIFF
void ReadScalabilityStructure(ByteReader& reader, Vp9Descriptor& descriptor) {
  const uint8_t head = reader.U8();
  descriptor.spatial_layers = static_cast<uint8_t>((head >> 5) + 1);
  if (head & 0x10) {  // Y
    for (uint8_t layer = 0; layer < descriptor.spatial_layers; ++layer) {
      descriptor.width = reader.U16();
      descriptor.height = reader.U16();
    }
  }
  if (!(head & 0x08)) return;  // G
  const uint8_t pictures = reader.U8();
  for (uint8_t i = 0; i < pictures && reader.ok(); ++i) reader.Skip(reader.U8() >> 2 & 3);
}

}  // namespace

std::optional<Vp9Descriptor> ParseVp9Descriptor(ByteView payload) {
  ByteReader reader(payload);
  Vp9Descriptor descriptor;
  const uint8_t first = reader.U8();
  descriptor.inter_predicted = first & 0x40;
  descriptor.has_layers = first & 0x20;
  descriptor.flexible = first & 0x10;
  descriptor.start_of_frame = first & 0x08;
  descriptor.end_of_frame = first & 0x04;
  descriptor.has_structure = first & 0x02;
  descriptor.not_reference = first & 0x01;
  if (first & 0x80) {  // I
    const uint8_t high = reader.U8();
    descriptor.picture_id_bits = high & 0x80 ? 15 : 7;
    descriptor.picture_id = high & 0x80 ? static_cast<uint16_t>((high & 0x7F) << 8 | reader.U8()) : high;
  }
  if (descriptor.has_layers) {
    const uint8_t layer = reader.U8();
    descriptor.temporal_id = layer >> 5;
    descriptor.switching_up = layer & 0x10;
    descriptor.spatial_id = layer >> 1 & 0x07;
    descriptor.inter_layer_predicted = layer & 0x01;
    if (!descriptor.flexible) {
      descriptor.has_tl0_picture_index = true;
      descriptor.tl0_picture_index = reader.U8();
    }
  }
  if (descriptor.flexible && descriptor.inter_predicted) {
    // §4.2: up to three P_DIFF (7) N (1); a fourth N is an error
    for (int i = 0;; ++i) {
      if (!(reader.U8() & 0x01)) break;
      if (i == 2) return std::nullopt;
    }
  }
  if (descriptor.has_structure) ReadScalabilityStructure(reader, descriptor);
  if (!reader.ok() || reader.remaining() == 0) return std::nullopt;
  descriptor.size = static_cast<uint16_t>(reader.position());
  return descriptor;
}

bool IsVp9KeyframeStart(const Vp9Descriptor& descriptor) {
  return !descriptor.inter_predicted && descriptor.start_of_frame && descriptor.spatial_id == 0;
}

}  // namespace nexus
