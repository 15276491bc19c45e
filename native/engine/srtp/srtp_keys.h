// The result of DTLS-SRTP negotiation (RFC 5764 section 4.1.2, RFC 7714 section 14.2): profile and master
// keys of both directions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"

namespace nexus {

enum class SrtpProfile : uint8_t { kAeadAes128Gcm, kAes128CmHmacSha1_80 };

inline constexpr size_t kSrtpMasterKeySize = 16;

// Size of the master salt: 112 bits in RFC 3711 section 8.2, 96 in RFC 7714 section 12.
constexpr size_t SrtpSaltSize(SrtpProfile profile) {
  return profile == SrtpProfile::kAeadAes128Gcm ? 12 : 14;
}
// Size of the authentication tag after each packet.
constexpr size_t SrtpTagSize(SrtpProfile profile) { return profile == SrtpProfile::kAeadAes128Gcm ? 16 : 10; }

// Space that a buffer needs after the plain packet: the tag and, for SRTCP, E bit and index.
inline constexpr size_t kSrtpMaxRtpOverhead = 16;
inline constexpr size_t kSrtpMaxRtcpOverhead = 20;

struct SrtpKeyMaterial {
  std::array<uint8_t, kSrtpMasterKeySize> key{};
  std::array<uint8_t, 14> salt{};  // only the first SrtpSaltSize(profile) bytes are used
};

struct SrtpKeys {
  SrtpProfile profile = SrtpProfile::kAeadAes128Gcm;
  SrtpKeyMaterial client;  // protects packets from the DTLS client
  SrtpKeyMaterial server;  // protects packets from the DTLS server
};

}  // namespace nexus
