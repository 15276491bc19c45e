#include "engine/stun/stun_integrity.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>

#include "engine/stun/stun_message.h"

namespace nexus {

std::optional<std::array<uint8_t, kStunHmacSize>> StunHmac(ByteView before_attribute,
                                                           std::string_view password) {
  if (before_attribute.size() < kStunHeaderSize || before_attribute.size() > kStunMaxMessageSize) {
    return std::nullopt;
  }
  std::array<uint8_t, kStunMaxMessageSize> copy;
  std::memcpy(copy.data(), before_attribute.data(), before_attribute.size());
  const size_t length = before_attribute.size() - kStunHeaderSize + 4 + kStunHmacSize;
  copy[2] = static_cast<uint8_t>(length >> 8);
  copy[3] = static_cast<uint8_t>(length);
  std::array<uint8_t, kStunHmacSize> mac{};
  unsigned int size = 0;
  if (HMAC(EVP_sha1(), password.data(), static_cast<int>(password.size()), copy.data(),
           before_attribute.size(), mac.data(), &size) == nullptr ||
      size != kStunHmacSize) {
    return std::nullopt;
  }
  return mac;
}

}  // namespace nexus
