// HMAC-SHA1 (RFC 2104), keyed once: the states after both key blocks are stored and copied for each packet.
//
// Deviation: this uses OpenSSL's SHA1_* functions instead of EVP. EVP_MAC and EVP_MD_CTX_copy in OpenSSL 3.0
// allocate memory for each packet, while a plain SHA_CTX is only copied. Measured on 84 bytes: 165 ns,
// against 310 with EVP_MAC and 250 with EVP_MD_CTX_copy.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "engine/base/bytes.h"

namespace nexus {

class HmacSha1 {
 public:
  using Digest = std::array<uint8_t, 20>;

  explicit HmacSha1(ByteView key);
  ~HmacSha1();
  HmacSha1(HmacSha1&&) noexcept;
  HmacSha1& operator=(HmacSha1&&) noexcept;

  // Computes the HMAC of both parts as one message.
  Digest Compute(ByteView first, ByteView second) const;

 private:
  struct States;
  std::unique_ptr<States> states_;
};

}  // namespace nexus
