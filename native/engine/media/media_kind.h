// The kind of an m= section (RFC 8866 section 5.14).
#pragma once

#include <cstdint>

namespace nexus {

enum class MediaKind : uint8_t { kAudio = 1, kVideo = 2 };

}  // namespace nexus
