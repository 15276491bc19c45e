// The HMAC-SHA1 of MESSAGE-INTEGRITY (RFC 8489 section 14.5), shared by the check and by the writer.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr size_t kStunHmacSize = 20;
// Larger than any message over UDP that we would look at; a bound for the copy that HMAC is computed over.
inline constexpr size_t kStunMaxMessageSize = 2048;

// HMAC over `before_attribute` as if the header's length ended just behind MESSAGE-INTEGRITY.
std::optional<std::array<uint8_t, kStunHmacSize>> StunHmac(ByteView before_attribute,
                                                           std::string_view password);

}  // namespace nexus
