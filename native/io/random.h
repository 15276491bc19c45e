// Random secrets and names from the kernel's generator.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace nexus {

inline void FillRandom(void* out, size_t size) {
  auto* bytes = static_cast<uint8_t*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(bytes, size, 0);
    if (got <= 0) continue;  // interrupted
    bytes += got;
    size -= static_cast<size_t>(got);
  }
}

inline uint64_t RandomU64() {
  uint64_t value = 0;
  FillRandom(&value, sizeof value);
  return value;
}

// The ice-char alphabet (RFC 8839 section 5.4): 64 characters of six bits each.
inline constexpr std::string_view kIceAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline std::string RandomIceText(size_t size) {
  std::string text(size, '\0');
  FillRandom(text.data(), size);
  for (char& c : text) c = kIceAlphabet[static_cast<uint8_t>(c) & 63];
  return text;
}

}  // namespace nexus
