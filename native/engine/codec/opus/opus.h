// Opus (RFC 7587) is forwarded as it is; only silence is told apart.
#pragma once

#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

// RFC 6716 §3.1: a packet of one or two bytes is a table-of-contents byte with no or an empty frame: DTX.
inline bool IsOpusDtx(ByteView payload) { return payload.size() <= 2; }

// Whether the encoder heard a voice, read off the first frame's VAD flags (RFC 6716 §4.2.3). Nothing where
// they are not: in music modes, in packets that are too short to tell. Of an encrypted payload it says
// anything.
std::optional<bool> OpusVoiceActivity(ByteView payload);

}  // namespace nexus
