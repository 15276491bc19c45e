// Opus (RFC 7587) is forwarded unchanged; only silence is detected.
#pragma once

#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

// RFC 6716 §3.1: in a packet of one or two bytes the frame is absent or empty: DTX.
inline bool IsOpusDtx(ByteView payload) { return payload.size() <= 2; }

// Voice activity by the VAD flags of the first frame (RFC 6716 §4.2.3). Nothing in modes without them
// (music), and in packets that are too short. For an encrypted payload the result is arbitrary.
std::optional<bool> OpusVoiceActivity(ByteView payload);

}  // namespace nexus
