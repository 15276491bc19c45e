// A codec as SDP negotiates it: the payload types under which a peer sends and receives it, and its
// parameters.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/ids.h"
#include "engine/codec/codec.h"

namespace nexus {

// One negotiated codec, for the whole BUNDLE group.
struct CodecBinding {
  PayloadType payload_type;
  Codec codec = Codec::kOpus;
  uint32_t clock_rate = 0;
  std::optional<PayloadType> rtx_payload_type;
  std::optional<PayloadType> red_payload_type;  // Opus: redundant audio (RFC 2198) around this payload type
  // H.264 (RFC 6184 section 8.1) and VP9 (RFC 9628 section 6.1): parameters that distinguish bindings of one
  // codec.
  std::optional<uint32_t> h264_profile_level_id;
  int h264_packetization_mode = 0;
  int vp9_profile = 0;
};

}  // namespace nexus
