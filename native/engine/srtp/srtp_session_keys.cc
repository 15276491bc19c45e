#include "engine/srtp/srtp_session_keys.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace nexus {

namespace {

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// RFC 3711 section 4.3.3: the key stream at IV = (key_id XOR master_salt) * 2^16; key_id is the label
// followed by 48 zero bits.
bool Derive(const SrtpKeyMaterial& material, size_t salt_size, uint8_t label, MutableByteView out) {
  std::array<uint8_t, 16> iv{};  // a 96-bit salt is padded with zeros on the right (RFC 7714 section 11)
  std::copy_n(material.salt.begin(), salt_size, iv.begin());
  iv[7] ^= label;
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::fill(out.begin(), out.end(), uint8_t{0});
  int written = 0;
  return context &&
         EVP_EncryptInit_ex(context.get(), EVP_aes_128_ctr(), nullptr, material.key.data(), iv.data()) == 1 &&
         EVP_EncryptUpdate(context.get(), out.data(), &written, out.data(), static_cast<int>(out.size())) ==
             1 &&
         written == static_cast<int>(out.size());
}

}  // namespace

std::optional<SrtpSessionKeys> DeriveSrtpSessionKeys(SrtpProfile profile, const SrtpKeyMaterial& material,
                                                     SrtpPacketKind kind) {
  const size_t salt_size = SrtpSaltSize(profile);
  const uint8_t first_label = kind == SrtpPacketKind::kRtp ? 0 : 3;  // RFC 3711 section 4.3.1 and 4.3.2
  SrtpSessionKeys keys;
  if (!Derive(material, salt_size, first_label, keys.cipher_key) ||
      !Derive(material, salt_size, first_label + 1, keys.auth_key) ||
      !Derive(material, salt_size, first_label + 2, MutableByteView(keys.salt).first(salt_size))) {
    return std::nullopt;
  }
  return keys;
}

}  // namespace nexus
