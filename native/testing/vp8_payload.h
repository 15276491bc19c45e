// Writer of VP8 payloads for peers without an encoder: the payload descriptor of a packet, and the first
// bytes of a frame. What follows them in a payload is the peer's choice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/codec/picture_size.h"

namespace nexus::testing {

struct Vp8PacketFields {
  struct TemporalLayer {
    uint8_t tl0_picture_index = 0;
    uint8_t id = 0;
    bool sync = false;
  };
  bool first_of_frame = false;
  uint16_t picture_id = 0;  // the lower 15 bits are written
  std::optional<TemporalLayer> layer;
};

// Number of bytes of a descriptor without a temporal layer, and of the start of a frame.
inline constexpr size_t kVp8DescriptorSize = 4;
inline constexpr size_t kVp8FrameStartSize = 10;

// The payload descriptor (RFC 7741 section 4.2), with a picture id of 15 bits.
std::vector<uint8_t> MakeVp8Descriptor(const Vp8PacketFields& packet);

// Appends the start of a frame as a keyframe has it: frame tag, start code and size (RFC 6386 section 9.1).
// In an interframe only the tag has a meaning, and the other bytes are compressed data.
void AppendVp8FrameStart(std::vector<uint8_t>& payload, bool key, PictureSize size);

}  // namespace nexus::testing
