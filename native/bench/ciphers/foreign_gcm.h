// AES-128-GCM of a library that the engine does not use, behind plain functions. Each such library defines
// OpenSSL's names, so it is in its own shared object, which exports one function (foreign_gcm.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus::ciphers {

struct Piece {
  const uint8_t* data;
  size_t size;
};

struct ForeignGcm {
  void* (*make)(const uint8_t* key);  // 16 bytes; null on failure
  void (*free)(void* context);
  // Writes the cipher text and then the 16-byte tag. The nonce has 12 bytes. `plain` and `out` may be the
  // same.
  bool (*seal)(void* context, const uint8_t* nonce, Piece associated, Piece plain, uint8_t* out);
  bool (*open)(void* context, const uint8_t* nonce, Piece associated, uint8_t* body, size_t size,
               const uint8_t* tag);
};

}  // namespace nexus::ciphers

extern "C" {
const nexus::ciphers::ForeignGcm* NexusAwsLcGcm();
const nexus::ciphers::ForeignGcm* NexusBoringSslGcm();
}
