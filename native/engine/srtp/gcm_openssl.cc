// AES-128-GCM by OpenSSL's EVP: one context per direction, keyed once; a packet sets only its nonce.
#include <openssl/evp.h>

#include "engine/srtp/gcm_transform.h"

namespace nexus {
namespace {

class OpenSslAead {
 public:
  bool Init(const std::array<uint8_t, 16>& key, SrtpDirection direction) {
    const int encrypt = direction == SrtpDirection::kSeal ? 1 : 0;
    return context_ &&
           EVP_CipherInit_ex(context_.get(), EVP_aes_128_gcm(), nullptr, key.data(), nullptr, encrypt) == 1;
  }
  void Prefetch() const { PrefetchForRead(context_.get(), 2 * kCacheLine); }
  bool Seal(const GcmNonce& nonce, ByteView associated, ByteView plain, uint8_t* out) {
    uint8_t* const tag = out + plain.size();
    int written = 0;
    return Begin(nonce, associated) && Transform(plain, out) &&
           EVP_CipherFinal_ex(context_.get(), tag, &written) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, tag) == 1;
  }
  // The comparison inside EVP_CipherFinal is in constant time.
  bool Open(const GcmNonce& nonce, ByteView associated, MutableByteView body, uint8_t* tag) {
    int written = 0;
    uint8_t nothing = 0;
    return Begin(nonce, associated) && Transform(body, body.data()) &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, tag) == 1 &&
           EVP_CipherFinal_ex(context_.get(), &nothing, &written) == 1;
  }

 private:
  bool Begin(const GcmNonce& nonce, ByteView associated) {
    int written = 0;
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1 &&
           EVP_CipherUpdate(context_.get(), nullptr, &written, associated.data(),
                            static_cast<int>(associated.size())) == 1;
  }
  bool Transform(ByteView in, uint8_t* out) {
    int written = 0;
    return in.empty() ||
           EVP_CipherUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())) == 1;
  }

  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context_{EVP_CIPHER_CTX_new(),
                                                                           &EVP_CIPHER_CTX_free};
};

}  // namespace

std::unique_ptr<SrtpTransform> MakeOpenSslGcm(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                              SrtpDirection direction) {
  return MakeGcmTransformWith<OpenSslAead>(rtp, rtcp, direction);
}

}  // namespace nexus
