// VP8 payload descriptor (RFC 7741 §4.2).
//   X R N S R PID | I L T K RSV | M PictureID (7 or 15 bits) | TL0PICIDX | TID Y KEYIDX
#pragma once

#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

struct Vp8Descriptor {
  uint8_t size = 0;             // bytes of the descriptor
  uint8_t picture_id_bits = 0;  // 0, 7 or 15
  bool start_of_partition = false;
  bool non_reference = false;
  bool has_tl0_picture_index = false;
  bool has_temporal = false;  // T
  bool layer_sync = false;    // Y
  uint8_t partition = 0;
  uint8_t temporal_id = 0;
  uint8_t tl0_picture_index = 0;
  uint16_t picture_id = 0;
};

std::optional<Vp8Descriptor> ParseVp8Descriptor(ByteView payload);
// RFC 7741 §4.3: the first packet of a frame whose P bit is clear.
bool IsVp8KeyframeStart(const Vp8Descriptor& descriptor, ByteView payload);
// RFC 6386 section 9.1: the start code after a keyframe's frame tag, which an encrypted keyframe lacks.
bool HasVp8StartCode(const Vp8Descriptor& descriptor, ByteView payload);

}  // namespace nexus
