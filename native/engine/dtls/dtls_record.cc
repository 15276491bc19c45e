#include "engine/dtls/dtls_record.h"

#include <algorithm>
#include <array>

namespace nexus {

// RFC 6347 section 4.1: type, version, epoch, 48 bits of sequence number, length.
std::optional<DtlsRecord> NextDtlsRecord(ByteView& datagram) {
  ByteReader reader(datagram);
  const uint8_t type = reader.U8();
  const uint16_t version = reader.U16();
  const uint16_t epoch = reader.U16();
  const uint64_t upper = reader.U16();
  const uint64_t sequence_number = upper << 32 | reader.U32();
  reader.Skip(reader.U16());
  // 0xFEFF is DTLS 1.0, which the record layer of a first ClientHello still uses; 0xFEFD is DTLS 1.2.
  if (!reader.ok() || type < 20 || type > 23 || (version != 0xFEFF && version != 0xFEFD)) return std::nullopt;
  const DtlsRecord record{static_cast<DtlsContentType>(type), epoch, sequence_number,
                          datagram.first(reader.position())};
  datagram = datagram.subspan(reader.position());
  return record;
}

namespace {

// RFC 6347 section 4.2.2: type, length, message sequence, fragment offset and length.
bool IsPlausibleHandshake(ByteView fragment) {
  ByteReader reader(fragment);
  const uint8_t type = reader.U8();
  const uint32_t length = reader.U24();
  const uint16_t sequence = reader.U16();
  const uint32_t offset = reader.U24();
  const uint32_t size = reader.U24();
  const bool known = type <= 4 || (type >= 11 && type <= 16) || type == 20 || type == 21 || type == 22;
  // A whole handshake has fewer than a dozen messages per side.
  return reader.ok() && known && length <= kDtlsMaxHandshakeSize && sequence < 16 &&
         offset + size <= length && size <= reader.remaining() && (size > 0 || length == 0);
}

// In clear, only alerts that end a handshake with a reason known to TLS (RFC 5246 section 7.2) are accepted.
// Warnings mean nothing here, and OpenSSL counts them against the peer. A forged fatal alert still ends a
// handshake, as RFC 6347 section 4.1.2.7 admits: without alerts a failed negotiation would last until the
// timeout.
bool IsPlausibleAlert(ByteView fragment) {
  constexpr uint8_t kFatal = 2;
  constexpr std::array<uint8_t, 21> kReasons = {10, 20, 22, 30, 40, 42, 43, 44,  45,  46, 47,
                                                48, 49, 50, 51, 70, 71, 80, 110, 115, 120};
  return fragment.size() == 2 && fragment[0] == kFatal &&
         std::ranges::find(kReasons, fragment[1]) != kReasons.end();
}

}  // namespace

bool IsPlausible(const DtlsRecord& record) {
  if (record.epoch > 1) return false;  // there is no renegotiation
  if (record.epoch == 1) return record.fragment().size() >= kDtlsMinSealedSize;
  if (record.sequence_number > kDtlsMaxClearSequence) return false;
  switch (record.type) {
    case DtlsContentType::kChangeCipherSpec:
      return record.fragment().size() == 1 && record.fragment()[0] == 1;
    case DtlsContentType::kAlert:
      return IsPlausibleAlert(record.fragment());
    case DtlsContentType::kHandshake:
      return IsPlausibleHandshake(record.fragment());
    case DtlsContentType::kApplicationData:
      return false;  // never in clear
  }
  return false;
}

}  // namespace nexus
