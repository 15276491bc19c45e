// Checks of DTLS records (RFC 6347 section 4.1) before OpenSSL: splits a datagram into records and rejects
// invalid ones. RFC 6347 section 4.1.2.7 requires invalid records to be silently discarded; OpenSSL 3.0 lets
// some of them end the handshake.
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
// Maximum accepted size of a handshake message: a certificate chain fits, and memory for reassembly stays
// bounded.
inline constexpr uint32_t kDtlsMaxHandshakeSize = 16 * 1024;

struct DtlsRecord {
  DtlsContentType type = DtlsContentType::kHandshake;
  uint16_t epoch = 0;
  uint64_t sequence_number = 0;  // 48 bits
  ByteView bytes;                // header included
  ByteView fragment() const { return bytes.subspan(kDtlsRecordHeaderSize); }
};

// True for DTLS by the first byte alone, for demultiplexing (RFC 7983: 20 to 63).
inline bool LooksLikeDtls(ByteView datagram) {
  return datagram.size() >= kDtlsRecordHeaderSize && datagram[0] >= 20 && datagram[0] <= 63;
}

// Takes the record at the front of `datagram` off it. Nothing at the end, or at a byte that does not begin a
// record.
std::optional<DtlsRecord> NextDtlsRecord(ByteView& datagram);

// Minimum size of an encrypted record: explicit nonce and tag (RFC 5288 section 3). OpenSSL 3.0 ends the
// connection over a shorter one, although anyone can forge it. Only suites with GCM are offered, so that this
// bound holds.
inline constexpr size_t kDtlsMinSealedSize = 8 + 16;

// Maximum sequence number in clear; a handshake with all its retransmissions stays below. OpenSSL moves its
// replay window by unauthenticated numbers: a forged high number would make it drop everything that the peer
// sends later.
inline constexpr uint64_t kDtlsMaxClearSequence = 1023;

// False for a record that no valid peer sends: in clear (epoch 0), or too short to be encrypted.
bool IsPlausible(const DtlsRecord& record);

}  // namespace nexus
