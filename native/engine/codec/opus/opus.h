// Opus (RFC 7587) is forwarded as it is; only silence is told apart.
#pragma once

#include "engine/base/bytes.h"

namespace nexus {

// RFC 6716 §3.1: a packet of one or two bytes is a table-of-contents byte with no or an empty frame: DTX.
inline bool IsOpusDtx(ByteView payload) { return payload.size() <= 2; }

}  // namespace nexus
