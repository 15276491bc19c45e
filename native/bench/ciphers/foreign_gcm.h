// AES-128-GCM of a library that the engine does not use, behind plain functions: each such library defines
// OpenSSL's names, so it stands in a shared object of its own that lets out one function (foreign_gcm.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus::ciphers {

struct Piece {
  const uint8_t* data;
  size_t size;
};

struct ForeignGcm {
  void* (*make)(const uint8_t* key);  // 16 bytes; null when it failed
  void (*free)(void* context);
  // Writes the cipher text, then the tag of 16 bytes. The nonce has 12. `plain` may lie where `out` is.
  bool (*seal)(void* context, const uint8_t* nonce, Piece associated, Piece plain, uint8_t* out);
  bool (*open)(void* context, const uint8_t* nonce, Piece associated, uint8_t* body, size_t size,
               const uint8_t* tag);
};

}  // namespace nexus::ciphers

extern "C" {
const nexus::ciphers::ForeignGcm* NexusAwsLcGcm();
const nexus::ciphers::ForeignGcm* NexusBoringSslGcm();
}
