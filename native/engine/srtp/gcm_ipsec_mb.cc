// AES-128-GCM by intel-ipsec-mb: the same instructions as OpenSSL's (AES-NI and PCLMULQDQ), and the 512-bit
// ones (VAES) on processors that have them, without EVP's layers. One call per packet; the library selects
// the code for the processor at run time, so one binary runs everywhere.
#include "engine/srtp/gcm_transform.h"

#ifdef NEXUS_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace nexus {
namespace {

// Immutable after construction: all threads use only its table of functions. Null if this processor lacks the
// needed instructions.
const IMB_MGR* Library() {
  static const IMB_MGR* const library = []() -> const IMB_MGR* {
    IMB_MGR* manager = alloc_mb_mgr(0);
    if (manager == nullptr) return nullptr;
    init_mb_mgr_auto(manager, nullptr);
    constexpr uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    if ((manager->features & kNeeded) == kNeeded && imb_get_errno(manager) == 0) return manager;
    free_mb_mgr(manager);
    return nullptr;
  }();
  return library;
}

class IpsecMbAead {
 public:
  ~IpsecMbAead() { OPENSSL_cleanse(&key_, sizeof key_); }

  bool Init(const std::array<uint8_t, 16>& key, SrtpDirection) {
    if (Library() == nullptr) return false;
    IMB_AES128_GCM_PRE(Library(), key.data(), &key_);
    return true;
  }
  // Prefetches the round keys and the powers of the hash key that a packet of 1,200 bytes reads.
  void Prefetch() const { PrefetchForRead(&key_, 16 * kCacheLine); }
  bool Seal(const GcmNonce& nonce, ByteView associated, ByteView plain, uint8_t* out) {
    gcm_context_data state;
    IMB_AES128_GCM_ENC(Library(), &key_, &state, out, plain.data(), plain.size(), nonce.data(),
                       associated.data(), associated.size(), out + plain.size(), kGcmTagSize);
    return true;
  }
  bool Open(const GcmNonce& nonce, ByteView associated, MutableByteView body, uint8_t* tag) {
    gcm_context_data state;
    std::array<uint8_t, kGcmTagSize> computed;
    IMB_AES128_GCM_DEC(Library(), &key_, &state, body.data(), body.data(), body.size(), nonce.data(),
                       associated.data(), associated.size(), computed.data(), computed.size());
    return CRYPTO_memcmp(computed.data(), tag, computed.size()) == 0;
  }

 private:
  alignas(64) gcm_key_data key_;
};

}  // namespace

bool HasIpsecMb() { return Library() != nullptr; }

std::unique_ptr<SrtpTransform> MakeIpsecMbGcm(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                              SrtpDirection direction) {
  return MakeGcmTransformWith<IpsecMbAead>(rtp, rtcp, direction);
}

}  // namespace nexus

#else

namespace nexus {

bool HasIpsecMb() { return false; }
std::unique_ptr<SrtpTransform> MakeIpsecMbGcm(const SrtpSessionKeys&, const SrtpSessionKeys&, SrtpDirection) {
  return nullptr;
}

}  // namespace nexus

#endif
