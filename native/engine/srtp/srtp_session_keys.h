// Derives session keys from a master key by the AES-CM pseudo-random function of RFC 3711 section 4.3, which
// RFC 7714 section 11 also uses for GCM. The key derivation rate is always zero, so they are derived once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/srtp/srtp_keys.h"

namespace nexus {

struct SrtpSessionKeys {
  std::array<uint8_t, 16> cipher_key{};
  std::array<uint8_t, 20> auth_key{};  // not used with GCM
  std::array<uint8_t, 14> salt{};      // as many bytes as the profile uses
};

enum class SrtpPacketKind : uint8_t { kRtp, kRtcp };

// Nothing if OpenSSL fails.
std::optional<SrtpSessionKeys> DeriveSrtpSessionKeys(SrtpProfile profile, const SrtpKeyMaterial& material,
                                                     SrtpPacketKind kind);

}  // namespace nexus
