// CRC-32 of ITU V.42, as used by FINGERPRINT (RFC 8489 section 14.7).
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/bytes.h"

namespace nexus {

namespace stun_internal {
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
    table[i] = value;
  }
  return table;
}
inline constexpr std::array<uint32_t, 256> kCrcTable = MakeCrcTable();
}  // namespace stun_internal

inline uint32_t Crc32(ByteView bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const uint8_t byte : bytes) crc = (crc >> 8) ^ stun_internal::kCrcTable[(crc ^ byte) & 0xFF];
  return ~crc;
}

// The value of the attribute.
inline uint32_t StunFingerprint(ByteView before_attribute) { return Crc32(before_attribute) ^ 0x5354554Eu; }

}  // namespace nexus
