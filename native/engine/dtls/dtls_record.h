// Looking at DTLS records from outside (RFC 6347 section 4.1), before OpenSSL does: cuts a datagram into
// records and refuses what cannot be one. RFC 6347 section 4.1.2.7 wants invalid records discarded in
// silence; OpenSSL 3.0 lets some of them end the handshake.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bytes.h"

namespace nexus {

enum class DtlsContentType : uint8_t {
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23
};

inline constexpr size_t kDtlsRecordHeaderSize = 13;
inline constexpr size_t kDtlsHandshakeHeaderSize = 12;
// Longest handshake message that is let through: certificates of a chain fit, reassembly memory stays
// bounded.
inline constexpr uint32_t kDtlsMaxHandshakeSize = 16 * 1024;

struct DtlsRecord {
  DtlsContentType type = DtlsContentType::kHandshake;
  uint16_t epoch = 0;
  uint64_t sequence_number = 0;  // 48 bits
  ByteView bytes;                // header included
  ByteView fragment() const { return bytes.subspan(kDtlsRecordHeaderSize); }
};

// By the first byte alone, for demultiplexing (RFC 7983: 20 to 63).
inline bool LooksLikeDtls(ByteView datagram) {
  return datagram.size() >= kDtlsRecordHeaderSize && datagram[0] >= 20 && datagram[0] <= 63;
}

// The record at the front of `datagram`, which is moved behind it. Nothing at the end or at the first byte
// that is not a record.
std::optional<DtlsRecord> NextDtlsRecord(ByteView& datagram);

// RFC 5288 section 3: an encrypted record has an explicit nonce and a tag. OpenSSL 3.0 ends the whole
// connection over a shorter one, although anybody can forge it; only suites with GCM are offered, so that
// this bound holds.
inline constexpr size_t kDtlsMinSealedSize = 8 + 16;

// A handshake with all its retransmissions has fewer records in clear. OpenSSL moves its replay window by
// what anybody can forge: a number far ahead would make it drop everything that the peer says afterwards.
inline constexpr uint64_t kDtlsMaxClearSequence = 1023;

// False for a record that no peer would send: in clear (epoch 0), or too short to be encrypted.
bool IsPlausible(const DtlsRecord& record);

}  // namespace nexus
