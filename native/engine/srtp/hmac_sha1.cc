#define OPENSSL_SUPPRESS_DEPRECATED  // see the top of hmac_sha1.h
#include "engine/srtp/hmac_sha1.h"

#include <openssl/sha.h>

#include <algorithm>

namespace nexus {

struct HmacSha1::States {
  SHA_CTX inner;
  SHA_CTX outer;
};

HmacSha1::HmacSha1(ByteView key) : states_(std::make_unique<States>()) {
  std::array<uint8_t, SHA_CBLOCK> inner;
  std::array<uint8_t, SHA_CBLOCK> outer;
  inner.fill(0x36);
  outer.fill(0x5C);
  for (size_t i = 0; i < std::min<size_t>(key.size(), SHA_CBLOCK); ++i) {
    inner[i] ^= key[i];
    outer[i] ^= key[i];
  }
  SHA1_Init(&states_->inner);
  SHA1_Update(&states_->inner, inner.data(), inner.size());
  SHA1_Init(&states_->outer);
  SHA1_Update(&states_->outer, outer.data(), outer.size());
}

HmacSha1::~HmacSha1() = default;
HmacSha1::HmacSha1(HmacSha1&&) noexcept = default;
HmacSha1& HmacSha1::operator=(HmacSha1&&) noexcept = default;

HmacSha1::Digest HmacSha1::Compute(ByteView first, ByteView second) const {
  Digest digest;
  SHA_CTX state = states_->inner;
  SHA1_Update(&state, first.data(), first.size());
  SHA1_Update(&state, second.data(), second.size());
  SHA1_Final(digest.data(), &state);
  state = states_->outer;
  SHA1_Update(&state, digest.data(), digest.size());
  SHA1_Final(digest.data(), &state);
  return digest;
}

}  // namespace nexus
