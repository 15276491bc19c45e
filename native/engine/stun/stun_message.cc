#include "engine/stun/stun_message.h"

#include <openssl/crypto.h>

#include "engine/stun/stun_crc32.h"
#include "engine/stun/stun_integrity.h"

namespace nexus {

namespace {

std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// RFC 8489 section 14.2: XORed with the cookie, for IPv6 with cookie and transaction id.
bool ParseXorAddress(ByteView value, const StunTransactionId& id, std::optional<SocketAddress>& out) {
  ByteReader reader(value);
  reader.Skip(1);
  const uint8_t family = reader.U8();
  const uint16_t port = reader.U16() ^ static_cast<uint16_t>(kStunMagicCookie >> 16);
  std::array<uint8_t, 16> mask{0x21, 0x12, 0xA4, 0x42};
  std::copy(id.begin(), id.end(), mask.begin() + 4);
  const ByteView ip = reader.Rest();
  if (!reader.ok() || ip.size() != (family == 1 ? 4u : 16u) || (family != 1 && family != 2)) return false;
  std::array<uint8_t, 16> plain{};
  for (size_t i = 0; i < ip.size(); ++i) plain[i] = ip[i] ^ mask[i];
  if (family == 2) {
    out = SocketAddress::V6(plain, port);
  } else {
    out = SocketAddress::V4({plain[0], plain[1], plain[2], plain[3]}, port);
  }
  return true;
}

// RFC 8489 section 14.8: class in three bits, number 0..99 in eight.
bool ParseErrorCode(ByteView value, StunMessage& message) {
  ByteReader reader(value);
  reader.Skip(2);
  const unsigned hundreds = reader.U8() & 0x7;
  const unsigned number = reader.U8();
  if (!reader.ok() || hundreds < 3 || hundreds > 6 || number > 99) return false;
  message.error_code = static_cast<uint16_t>(hundreds * 100 + number);
  message.error_reason = AsText(reader.Rest());
  return true;
}

template <class Value>
bool Once(std::optional<Value>& field, Value value, bool well_formed) {
  if (!field) field = value;  // RFC 8489 section 14: only the first of its type counts
  return well_formed;
}

void NoteUnknown(uint16_t type, StunMessage& message) {
  if (type >= 0x8000) return;  // comprehension-optional
  if (message.unknown_count < kStunMaxUnknownAttributes)
    message.unknown_attributes[message.unknown_count] = type;
  ++message.unknown_count;
}

// False if a known attribute is not well-formed.
bool ParseAttribute(uint16_t type, ByteView value, size_t offset, StunMessage& message) {
  ByteReader reader(value);
  switch (static_cast<StunAttribute>(type)) {
    case StunAttribute::kUsername:
      return Once(message.username, AsText(value), value.size() <= 513);
    case StunAttribute::kPriority:
      return Once(message.priority, reader.U32(), value.size() == 4);
    case StunAttribute::kUseCandidate:
      message.use_candidate = true;
      return value.empty();
    case StunAttribute::kIceControlled:
      return Once(message.ice_controlled, reader.U64(), value.size() == 8);
    case StunAttribute::kIceControlling:
      return Once(message.ice_controlling, reader.U64(), value.size() == 8);
    case StunAttribute::kXorMappedAddress:
      return message.xor_mapped_address.has_value() ||
             ParseXorAddress(value, message.transaction_id, message.xor_mapped_address);
    case StunAttribute::kErrorCode:
      return message.error_code.has_value() || ParseErrorCode(value, message);
    case StunAttribute::kSoftware:
      message.software = AsText(value);
      return true;
    case StunAttribute::kMessageIntegrity:
      message.integrity_offset = offset;
      return value.size() == kStunHmacSize;
    case StunAttribute::kFingerprint:
      message.fingerprint_offset = offset;
      return value.size() == 4;
    case StunAttribute::kMappedAddress:
    case StunAttribute::kUnknownAttributes:
    case StunAttribute::kRealm:
    case StunAttribute::kNonce:
    case StunAttribute::kMessageIntegritySha256:
      return true;  // known, but not used by ICE
  }
  NoteUnknown(type, message);
  return true;
}

// RFC 8489 section 14.5: attributes after MESSAGE-INTEGRITY are ignored, except FINGERPRINT (and the SHA-256
// variant).
bool IsCovered(uint16_t type, const StunMessage& message) {
  return message.integrity_offset == 0 || type == static_cast<uint16_t>(StunAttribute::kFingerprint);
}

constexpr size_t Padded(size_t size) { return (size + 3) & ~size_t{3}; }

}  // namespace

// RFC 8489 section 5:
//  |0 0|     STUN Message Type     |         Message Length        |
//  |                         Magic Cookie                          |
//  |                     Transaction ID (96 bits)                  |
bool LooksLikeStun(ByteView bytes) {
  if (bytes.size() < kStunHeaderSize || bytes.size() > kStunMaxMessageSize || (bytes[0] & 0xC0) != 0)
    return false;
  ByteReader reader(bytes);
  reader.Skip(2);
  const uint16_t length = reader.U16();
  return reader.U32() == kStunMagicCookie && length % 4 == 0 && length + kStunHeaderSize == bytes.size();
}

std::optional<StunMessage> ParseStun(ByteView bytes) {
  if (!LooksLikeStun(bytes)) return std::nullopt;
  ByteReader reader(bytes);
  StunMessage message;
  message.bytes = bytes;
  const unsigned type = reader.U16();
  message.message_class = static_cast<StunClass>(((type >> 4) & 1) | ((type >> 7) & 2));
  message.method = static_cast<uint16_t>((type & 0xF) | ((type >> 1) & 0x70) | ((type >> 2) & 0xF80));
  reader.Skip(6);
  const ByteView id = reader.Bytes(message.transaction_id.size());
  std::copy(id.begin(), id.end(), message.transaction_id.begin());
  while (reader.remaining() > 0) {
    if (message.fingerprint_offset != 0)
      return std::nullopt;  // section 14.7: FINGERPRINT is the last attribute
    const size_t offset = reader.position();
    const uint16_t attribute = reader.U16();
    const uint16_t size = reader.U16();
    const ByteView value = reader.Bytes(Padded(size));
    if (!reader.ok()) return std::nullopt;
    if (!IsCovered(attribute, message)) continue;
    if (!ParseAttribute(attribute, value.first(size), offset, message)) return std::nullopt;
  }
  return message;
}

std::optional<std::string_view> PeekLocalUfrag(ByteView bytes) {
  if (!LooksLikeStun(bytes)) return std::nullopt;
  ByteReader reader(bytes);
  reader.Skip(kStunHeaderSize);
  while (reader.remaining() > 0) {
    const uint16_t attribute = reader.U16();
    const uint16_t size = reader.U16();
    const ByteView value = reader.Bytes(Padded(size));
    if (!reader.ok()) return std::nullopt;
    if (attribute != static_cast<uint16_t>(StunAttribute::kUsername)) continue;
    const std::string_view username = AsText(value.first(size));
    const size_t colon = username.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    return username.substr(0, colon);
  }
  return std::nullopt;
}

bool VerifyStunIntegrity(const StunMessage& message, std::string_view password) {
  if (message.integrity_offset == 0) return false;
  const auto expected = StunHmac(message.bytes.first(message.integrity_offset), password);
  const ByteView got = message.bytes.subspan(message.integrity_offset + 4, kStunHmacSize);
  return expected && CRYPTO_memcmp(expected->data(), got.data(), kStunHmacSize) == 0;
}

bool VerifyStunFingerprint(const StunMessage& message) {
  if (message.fingerprint_offset == 0) return false;
  ByteReader reader(message.bytes.subspan(message.fingerprint_offset + 4));
  return reader.U32() == StunFingerprint(message.bytes.first(message.fingerprint_offset));
}

}  // namespace nexus
