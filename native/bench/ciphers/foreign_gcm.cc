// Compiled once for AWS-LC and once for BoringSSL, with that library's headers: both have EVP_AEAD, which
// takes nonce, header and payload in one call. FOREIGN_GCM names the only exported function.
#include "bench/ciphers/foreign_gcm.h"

#include <openssl/aead.h>

namespace nexus::ciphers {
namespace {

constexpr size_t kKeySize = 16;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;

void* Make(const uint8_t* key) { return EVP_AEAD_CTX_new(EVP_aead_aes_128_gcm(), key, kKeySize, kTagSize); }
void Free(void* context) { EVP_AEAD_CTX_free(static_cast<EVP_AEAD_CTX*>(context)); }

bool Seal(void* context, const uint8_t* nonce, Piece associated, Piece plain, uint8_t* out) {
  size_t written = 0;
  return EVP_AEAD_CTX_seal_scatter(static_cast<EVP_AEAD_CTX*>(context), out, out + plain.size, &written,
                                   kTagSize, nonce, kNonceSize, plain.data, plain.size, nullptr, 0,
                                   associated.data, associated.size) == 1;
}

bool Open(void* context, const uint8_t* nonce, Piece associated, uint8_t* body, size_t size,
          const uint8_t* tag) {
  return EVP_AEAD_CTX_open_gather(static_cast<EVP_AEAD_CTX*>(context), body, nonce, kNonceSize, body, size,
                                  tag, kTagSize, associated.data, associated.size) == 1;
}

}  // namespace
}  // namespace nexus::ciphers

extern "C" [[gnu::visibility("default")]] const nexus::ciphers::ForeignGcm* FOREIGN_GCM() {
  static constexpr nexus::ciphers::ForeignGcm kFunctions = {nexus::ciphers::Make, nexus::ciphers::Free,
                                                            nexus::ciphers::Seal, nexus::ciphers::Open};
  return &kFunctions;
}
