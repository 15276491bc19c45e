// Writes one STUN message into its own buffer. The length in the header is updated with each attribute,
// because MESSAGE-INTEGRITY and FINGERPRINT are computed over a header whose length includes them.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "engine/stun/stun_message.h"

namespace nexus {

class StunWriter {
 public:
  StunWriter(StunClass message_class, uint16_t method, const StunTransactionId& transaction_id);

  void Username(std::string_view username);
  void Priority(uint32_t priority);
  void UseCandidate();
  void IceControlled(uint64_t tie_breaker);
  void IceControlling(uint64_t tie_breaker);
  void XorMappedAddress(const SocketAddress& address);
  void ErrorCode(uint16_t code, std::string_view reason);
  void UnknownAttributes(std::span<const uint16_t> types);
  void Software(std::string_view name);
  // Any attribute, padded with `padding` bytes to a multiple of four.
  void Attribute(StunAttribute type, ByteView value, uint8_t padding = 0);
  void MessageIntegrity(std::string_view password);
  void Fingerprint();

  // Empty if something did not fit.
  ByteView message() const;
  std::vector<uint8_t> ToVector() const;

 private:
  void SetLength(size_t extra);

  std::array<uint8_t, 1024> bytes_{};
  ByteWriter writer_;
  StunTransactionId transaction_id_;
};

}  // namespace nexus
