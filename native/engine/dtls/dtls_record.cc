#include "engine/dtls/dtls_record.h"

namespace nexus {

// RFC 6347 section 4.1: type, version, epoch, 48 bits of sequence number, length.
std::optional<DtlsRecord> NextDtlsRecord(ByteView& datagram) {
  ByteReader reader(datagram);
  const uint8_t type = reader.U8();
  const uint16_t version = reader.U16();
  const uint16_t epoch = reader.U16();
  reader.Skip(6);
  reader.Skip(reader.U16());
  // 0xFEFF is DTLS 1.0, which the record layer of a first ClientHello still says; 0xFEFD is DTLS 1.2.
  if (!reader.ok() || type < 20 || type > 23 || (version != 0xFEFF && version != 0xFEFD)) return std::nullopt;
  const DtlsRecord record{static_cast<DtlsContentType>(type), epoch, datagram.first(reader.position())};
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
  // A whole handshake has fewer than a dozen messages a side.
  return reader.ok() && known && length <= kDtlsMaxHandshakeSize && sequence < 16 &&
         offset + size <= length && size <= reader.remaining() && (size > 0 || length == 0);
}

}  // namespace

bool IsPlausible(const DtlsRecord& record) {
  if (record.epoch > 1) return false;  // there is no renegotiation
  if (record.epoch == 1) return record.fragment().size() >= kDtlsMinSealedSize;
  switch (record.type) {
    case DtlsContentType::kChangeCipherSpec:
      return record.fragment().size() == 1 && record.fragment()[0] == 1;
    case DtlsContentType::kAlert:
      return record.fragment().size() == 2 && (record.fragment()[0] == 1 || record.fragment()[0] == 2);
    case DtlsContentType::kHandshake:
      return IsPlausibleHandshake(record.fragment());
    case DtlsContentType::kApplicationData:
      return false;  // never in clear
  }
  return false;
}

}  // namespace nexus
