// STUN for ICE (RFC 8489, RFC 8445 section 7.1): a parsed view of one message, and its verification. Views
// point into the parsed bytes, which must outlive the message. Nothing here knows sockets or sessions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/socket_address.h"

namespace nexus {

enum class StunClass : uint8_t { kRequest = 0, kIndication = 1, kSuccess = 2, kError = 3 };

inline constexpr uint16_t kStunBinding = 0x001;
inline constexpr uint32_t kStunMagicCookie = 0x2112A442;
inline constexpr size_t kStunHeaderSize = 20;
inline constexpr size_t kStunMaxUnknownAttributes = 8;

// Attribute types (RFC 8489 section 18.3, RFC 8445 section 16.1).
enum class StunAttribute : uint16_t {
  kMappedAddress = 0x0001,
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kUnknownAttributes = 0x000A,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kMessageIntegritySha256 = 0x001C,
  kXorMappedAddress = 0x0020,
  kPriority = 0x0024,
  kUseCandidate = 0x0025,
  kSoftware = 0x8022,
  kFingerprint = 0x8028,
  kIceControlled = 0x8029,
  kIceControlling = 0x802A,
};

using StunTransactionId = std::array<uint8_t, 12>;

struct StunMessage {
  StunClass message_class = StunClass::kRequest;
  uint16_t method = 0;
  StunTransactionId transaction_id{};

  std::optional<std::string_view> username;
  std::optional<uint32_t> priority;
  bool use_candidate = false;
  std::optional<uint64_t> ice_controlled;
  std::optional<uint64_t> ice_controlling;
  std::optional<SocketAddress> xor_mapped_address;
  std::optional<uint16_t> error_code;
  std::string_view error_reason;
  std::string_view software;

  // Unknown comprehension-required attributes, for a 420 response. The count may exceed the size of the
  // array.
  std::array<uint16_t, kStunMaxUnknownAttributes> unknown_attributes{};
  size_t unknown_count = 0;

  // Offsets of MESSAGE-INTEGRITY and FINGERPRINT; 0 if absent.
  size_t integrity_offset = 0;
  size_t fingerprint_offset = 0;
  ByteView bytes;
};

// True if the bytes can only be STUN on a port shared with DTLS and SRTP (RFC 7983), by header and length.
bool LooksLikeStun(ByteView bytes);

// Nothing if the bytes are not a well-formed STUN message of exactly this size.
std::optional<StunMessage> ParseStun(ByteView bytes);

// The part of USERNAME before ':', without parsing the rest: it identifies the transport of a check.
std::optional<std::string_view> PeekLocalUfrag(ByteView bytes);

// Verifies the HMAC-SHA1 with the short-term key (RFC 8489 section 14.5) in constant time. False if absent.
bool VerifyStunIntegrity(const StunMessage& message, std::string_view password);

// Verifies the CRC-32 (RFC 8489 section 14.7). False if absent.
bool VerifyStunFingerprint(const StunMessage& message);

}  // namespace nexus
