// Prefetches memory that will be needed soon.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus {

inline constexpr size_t kCacheLine = 64;

inline void PrefetchForWrite(const void* at, size_t bytes) {
  const auto* first = static_cast<const uint8_t*>(at);
  for (size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(first + i, 1, 3);
}
inline void PrefetchForRead(const void* at, size_t bytes) {
  const auto* first = static_cast<const uint8_t*>(at);
  for (size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(first + i, 0, 3);
}

}  // namespace nexus
