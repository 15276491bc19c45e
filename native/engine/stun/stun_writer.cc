#include "engine/stun/stun_writer.h"

#include <algorithm>

#include "engine/stun/stun_crc32.h"
#include "engine/stun/stun_integrity.h"

namespace nexus {

namespace {

uint16_t MessageType(StunClass message_class, uint16_t method) {
  const unsigned bits = static_cast<unsigned>(message_class);
  return static_cast<uint16_t>((method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2 |
                               (bits & 1) << 4 | (bits & 2) << 7);
}

ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

StunWriter::StunWriter(StunClass message_class, uint16_t method, const StunTransactionId& transaction_id)
    : writer_(bytes_), transaction_id_(transaction_id) {
  writer_.U16(MessageType(message_class, method));
  writer_.U16(0);
  writer_.U32(kStunMagicCookie);
  writer_.Bytes(transaction_id);
}

void StunWriter::SetLength(size_t extra) {
  writer_.PatchU16(2, static_cast<uint16_t>(writer_.size() - kStunHeaderSize + extra));
}

void StunWriter::Attribute(StunAttribute type, ByteView value, uint8_t padding) {
  writer_.U16(static_cast<uint16_t>(type));
  writer_.U16(static_cast<uint16_t>(value.size()));
  writer_.Bytes(value);
  for (size_t size = value.size(); size % 4 != 0; ++size) writer_.U8(padding);
  SetLength(0);
}

void StunWriter::Username(std::string_view username) {
  Attribute(StunAttribute::kUsername, AsBytes(username));
}

void StunWriter::Priority(uint32_t priority) {
  std::array<uint8_t, 4> value{};
  ByteWriter(value).U32(priority);
  Attribute(StunAttribute::kPriority, value);
}

void StunWriter::UseCandidate() { Attribute(StunAttribute::kUseCandidate, {}); }

void StunWriter::IceControlled(uint64_t tie_breaker) {
  std::array<uint8_t, 8> value{};
  ByteWriter(value).U64(tie_breaker);
  Attribute(StunAttribute::kIceControlled, value);
}

void StunWriter::IceControlling(uint64_t tie_breaker) {
  std::array<uint8_t, 8> value{};
  ByteWriter(value).U64(tie_breaker);
  Attribute(StunAttribute::kIceControlling, value);
}

// RFC 8489 section 14.2.
void StunWriter::XorMappedAddress(const SocketAddress& address) {
  std::array<uint8_t, 20> value{};
  ByteWriter out(value);
  out.U8(0);
  out.U8(address.is_v6() ? 2 : 1);
  out.U16(address.port() ^ static_cast<uint16_t>(kStunMagicCookie >> 16));
  std::array<uint8_t, 16> mask{0x21, 0x12, 0xA4, 0x42};
  std::copy(transaction_id_.begin(), transaction_id_.end(), mask.begin() + 4);
  const ByteView ip = address.ip();
  for (size_t i = 0; i < ip.size(); ++i) out.U8(ip[i] ^ mask[i]);
  Attribute(StunAttribute::kXorMappedAddress, out.written());
}

void StunWriter::ErrorCode(uint16_t code, std::string_view reason) {
  std::array<uint8_t, 132> value{};
  ByteWriter out(value);
  out.U16(0);
  out.U8(static_cast<uint8_t>(code / 100));
  out.U8(static_cast<uint8_t>(code % 100));
  out.Bytes(AsBytes(reason.substr(0, 128)));
  Attribute(StunAttribute::kErrorCode, out.written());
}

void StunWriter::UnknownAttributes(std::span<const uint16_t> types) {
  std::array<uint8_t, 2 * kStunMaxUnknownAttributes> value{};
  ByteWriter out(value);
  for (const uint16_t type : types.first(std::min(types.size(), kStunMaxUnknownAttributes))) out.U16(type);
  Attribute(StunAttribute::kUnknownAttributes, out.written());
}

void StunWriter::Software(std::string_view name) { Attribute(StunAttribute::kSoftware, AsBytes(name)); }

void StunWriter::MessageIntegrity(std::string_view password) {
  const auto mac = StunHmac(writer_.written(), password);
  if (mac) Attribute(StunAttribute::kMessageIntegrity, *mac);
}

void StunWriter::Fingerprint() {
  SetLength(8);
  std::array<uint8_t, 4> value{};
  ByteWriter(value).U32(StunFingerprint(writer_.written()));
  Attribute(StunAttribute::kFingerprint, value);
}

ByteView StunWriter::message() const { return writer_.ok() ? writer_.written() : ByteView(); }

std::vector<uint8_t> StunWriter::ToVector() const {
  const ByteView view = message();
  return {view.begin(), view.end()};
}

}  // namespace nexus
