// The HMAC-SHA1 of MESSAGE-INTEGRITY (RFC 8489 section 14.5), for verification and for the writer.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr size_t kStunHmacSize = 20;
// Maximum message size, above any valid message over UDP; it bounds the copy over which the HMAC is computed.
inline constexpr size_t kStunMaxMessageSize = 2048;

// HMAC of `before_attribute`, with the header's length set to end after MESSAGE-INTEGRITY.
std::optional<std::array<uint8_t, kStunHmacSize>> StunHmac(ByteView before_attribute,
                                                           std::string_view password);

}  // namespace nexus
