// What DTLS-SRTP agrees on (RFC 5764 section 4.1.2, RFC 7714 section 14.2): profile and master keys of both
// directions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"

namespace nexus {

enum class SrtpProfile : uint8_t { kAeadAes128Gcm, kAes128CmHmacSha1_80 };

inline constexpr size_t kSrtpMasterKeySize = 16;

// Bytes of master salt: RFC 3711 section 8.2 has 112 bits, RFC 7714 section 12 has 96.
constexpr size_t SrtpSaltSize(SrtpProfile profile) {
  return profile == SrtpProfile::kAeadAes128Gcm ? 12 : 14;
}
// Bytes of authentication tag behind each packet.
constexpr size_t SrtpTagSize(SrtpProfile profile) { return profile == SrtpProfile::kAeadAes128Gcm ? 16 : 10; }

// What a buffer must have behind the plain packet: tag, for SRTCP also E bit and index.
inline constexpr size_t kSrtpMaxRtpOverhead = 16;
inline constexpr size_t kSrtpMaxRtcpOverhead = 20;

struct SrtpKeyMaterial {
  std::array<uint8_t, kSrtpMasterKeySize> key{};
  std::array<uint8_t, 14> salt{};  // the first SrtpSaltSize(profile) bytes count
};

struct SrtpKeys {
  SrtpProfile profile = SrtpProfile::kAeadAes128Gcm;
  SrtpKeyMaterial client;  // protects what the DTLS client sends
  SrtpKeyMaterial server;  // protects what the DTLS server sends
};

}  // namespace nexus
