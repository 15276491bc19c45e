// Reads from one packet what the frame assembler needs, and converts the packets of one frame to the input of
// a decoder: VP8 (RFC 7741) and VP9 (RFC 9628) frames, H.264 access units in Annex B form (RFC 6184), AV1
// temporal units in the low-overhead form (AV1 specification section 5.2). The spatial layers of a VP9
// picture become a superframe, whose index tells the decoder that more than one frame is inside.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/codec/codec.h"

namespace nexus {

// Facts about one packet that are read from it alone, because packets may arrive in any order.
struct FramePart {
  bool begins = false;    // certainly the first packet of a frame
  bool keyframe = false;  // belongs to a keyframe, as far as this packet can tell
  uint8_t temporal_id = 0;
  bool discardable = false;  // nothing refers to the frame
};
// Returns nothing if the payload is not of that codec.
std::optional<FramePart> InspectFramePart(Codec codec, ByteView payload);

// Appends the frame to `out`; false when the payloads do not fit together. Packets in order, of one frame.
bool Depacketize(Codec codec, std::span<const ByteView> payloads, std::vector<uint8_t>& out);

}  // namespace nexus
