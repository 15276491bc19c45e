// VP9 payload descriptor (RFC 9628 §4.2), flexible and non-flexible mode.
//   I P L F B E V Z | M PictureID | TID U SID D | TL0PICIDX (not flexible) | P_DIFF N ... | SS
#pragma once

#include <array>
#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

struct Vp9Descriptor {
  uint16_t size = 0;
  uint8_t picture_id_bits = 0;         // 0, 7 or 15
  bool inter_predicted = false;        // P
  bool flexible = false;               // F
  bool has_layers = false;             // L
  bool start_of_frame = false;         // B
  bool end_of_frame = false;           // E
  bool has_structure = false;          // V
  bool not_reference = false;          // Z: not a reference for upper spatial layers
  bool switching_up = false;           // U
  bool inter_layer_predicted = false;  // D
  uint8_t temporal_id = 0;
  uint8_t spatial_id = 0;
  bool has_tl0_picture_index = false;
  uint8_t tl0_picture_index = 0;
  uint16_t picture_id = 0;
  uint8_t spatial_layers = 0;  // of the scalability structure, 0: none here
  uint16_t width = 0;          // of its highest layer
  uint16_t height = 0;
};

std::optional<Vp9Descriptor> ParseVp9Descriptor(ByteView payload);
// True for the first packet of the lowest spatial layer's frame that is not predicted from another picture.
bool IsVp9KeyframeStart(const Vp9Descriptor& descriptor);

}  // namespace nexus
