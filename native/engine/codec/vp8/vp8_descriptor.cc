#include "engine/codec/vp8/vp8_descriptor.h"

#include <algorithm>
#include <array>

namespace nexus {

std::optional<Vp8Descriptor> ParseVp8Descriptor(ByteView payload) {
  ByteReader reader(payload);
  Vp8Descriptor descriptor;
  const uint8_t first = reader.U8();
  descriptor.non_reference = first & 0x20;
  descriptor.start_of_partition = first & 0x10;
  descriptor.partition = first & 0x07;
  if (first & 0x80) {  // X
    const uint8_t present = reader.U8();
    if (present & 0x80) {  // I
      const uint8_t high = reader.U8();
      descriptor.picture_id_bits = high & 0x80 ? 15 : 7;
      descriptor.picture_id = high & 0x80 ? static_cast<uint16_t>((high & 0x7F) << 8 | reader.U8()) : high;
    }
    descriptor.has_tl0_picture_index = present & 0x40;
    if (descriptor.has_tl0_picture_index) descriptor.tl0_picture_index = reader.U8();
    if (present & 0x30) {  // T or K
      const uint8_t layer = reader.U8();
      descriptor.has_temporal = present & 0x20;
      if (descriptor.has_temporal) {
        descriptor.temporal_id = layer >> 6;
        descriptor.layer_sync = layer & 0x20;
      }
    }
  }
  // A descriptor without a payload after it is not VP8.
  if (!reader.ok() || reader.remaining() == 0) return std::nullopt;
  descriptor.size = static_cast<uint8_t>(reader.position());
  return descriptor;
}

bool IsVp8KeyframeStart(const Vp8Descriptor& descriptor, ByteView payload) {
  return descriptor.start_of_partition && descriptor.partition == 0 && payload.size() > descriptor.size &&
         (payload[descriptor.size] & 0x01) == 0;
}

bool HasVp8StartCode(const Vp8Descriptor& descriptor, ByteView payload) {
  constexpr size_t kFrameTag = 3;
  constexpr std::array<uint8_t, 3> kStartCode = {0x9D, 0x01, 0x2A};
  if (payload.size() < descriptor.size + kFrameTag + kStartCode.size()) return false;
  return std::equal(kStartCode.begin(), kStartCode.end(), payload.begin() + descriptor.size + kFrameTag);
}

}  // namespace nexus
