// AEAD_AES_128_GCM for SRTP and SRTCP (RFC 7714) with any cipher library: the places of header, cipher text,
// tag and index, the associated data, and the nonce.
//
// `Aead` has these functions, which return false if the library fails or the tag is wrong:
//   bool Init(const std::array<uint8_t, 16>& key, SrtpDirection);
//   // Writes the cipher text and its tag; `plain` and `out` may be the same.
//   bool Seal(const GcmNonce&, ByteView associated, ByteView plain, uint8_t* out);
//   bool Open(const GcmNonce&, ByteView associated, MutableByteView body, uint8_t* tag);  // in place
#pragma once

#include <array>
#include <cstring>

#include "engine/base/prefetch.h"
#include "engine/srtp/gcm_library.h"
#include "engine/srtp/srtp_transform.h"

namespace nexus {

using GcmNonce = std::array<uint8_t, 12>;
inline constexpr size_t kGcmTagSize = 16;

// RFC 7714 section 8.1 and 9.1: 16 zero bits, SSRC, 48 bits of index, XOR salt.
inline GcmNonce MakeGcmNonce(const GcmNonce& salt, uint32_t ssrc, uint64_t index) {
  GcmNonce nonce = salt;
  for (size_t i = 0; i < 4; ++i) nonce[2 + i] ^= static_cast<uint8_t>(ssrc >> (24 - 8 * i));
  for (size_t i = 0; i < 6; ++i) nonce[6 + i] ^= static_cast<uint8_t>(index >> (40 - 8 * i));
  return nonce;
}

template <class Aead>
class GcmTransform final : public SrtpTransform {
 public:
  bool Init(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp, SrtpDirection direction) {
    std::memcpy(rtp_salt_.data(), rtp.salt.data(), rtp_salt_.size());
    std::memcpy(rtcp_salt_.data(), rtcp.salt.data(), rtcp_salt_.size());
    return rtp_.Init(rtp.cipher_key, direction) && rtcp_.Init(rtcp.cipher_key, direction);
  }

  // Header in clear and as associated data (RFC 7714 section 8.2), cipher text, tag.
  size_t SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index,
                 MutableByteView out) override {
    std::memcpy(out.data(), header.data(), header.size());
    const GcmNonce nonce = MakeGcmNonce(rtp_salt_, ReadU32(header, 8), index);
    uint8_t* const body = out.data() + header.size();
    if (!rtp_.Seal(nonce, header, InOnePiece(prefix, payload, body), body)) return 0;
    return header.size() + prefix.size() + payload.size() + kGcmTagSize;
  }

  // Header, cipher text, tag, E bit and index; header and index word are associated data (RFC 7714 section
  // 9.2).
  size_t SealRtcp(ByteView packet, uint32_t index, MutableByteView out) override {
    const RtcpAssociated associated = AssociatedOf(packet, index | kSrtcpEncryptedBit);
    const GcmNonce nonce = MakeGcmNonce(rtcp_salt_, ReadU32(packet, 4), index);
    std::memcpy(out.data(), packet.data(), kRtcpFixedHeaderSize);
    if (!rtcp_.Seal(nonce, associated, packet.subspan(kRtcpFixedHeaderSize),
                    out.data() + kRtcpFixedHeaderSize)) {
      return 0;
    }
    std::memcpy(out.data() + packet.size() + kGcmTagSize, associated.data() + kRtcpFixedHeaderSize,
                kSrtcpIndexSize);
    return packet.size() + kGcmTagSize + kSrtcpIndexSize;
  }

  bool OpenRtp(MutableByteView packet, size_t header_size, uint64_t index) override {
    const MutableByteView body = packet.subspan(header_size, packet.size() - header_size - kGcmTagSize);
    const GcmNonce nonce = MakeGcmNonce(rtp_salt_, ReadU32(packet, 8), index);
    return rtp_.Open(nonce, packet.first(header_size), body, body.data() + body.size());
  }

  bool OpenRtcp(MutableByteView packet, uint32_t index_word) override {
    const size_t body_size = packet.size() - kRtcpFixedHeaderSize - kGcmTagSize - kSrtcpIndexSize;
    const MutableByteView body = packet.subspan(kRtcpFixedHeaderSize, body_size);
    const GcmNonce nonce = MakeGcmNonce(rtcp_salt_, ReadU32(packet, 4), index_word & ~kSrtcpEncryptedBit);
    return rtcp_.Open(nonce, AssociatedOf(packet, index_word), body, body.data() + body.size());
  }

  size_t RtcpIndexOffset(size_t packet_size) const override { return packet_size - kSrtcpIndexSize; }
  void Prefetch() const override {
    rtp_.Prefetch();
    PrefetchForRead(&rtp_salt_, sizeof rtp_salt_);
  }
  SrtpProfile profile() const override { return SrtpProfile::kAeadAes128Gcm; }

 private:
  // If there is a prefix, both parts are copied to the place of the cipher text and sealed there: copying
  // 1,200 bytes costs less than the further calls for a message in two parts (decision 0016). Otherwise
  // sealing is the only copy.
  static ByteView InOnePiece(ByteView prefix, ByteView payload, uint8_t* body) {
    if (prefix.empty()) return payload;
    std::memcpy(body, prefix.data(), prefix.size());
    if (!payload.empty()) std::memcpy(body + prefix.size(), payload.data(), payload.size());
    return ByteView(body, prefix.size() + payload.size());
  }

  using RtcpAssociated = std::array<uint8_t, kRtcpFixedHeaderSize + kSrtcpIndexSize>;
  static RtcpAssociated AssociatedOf(ByteView packet, uint32_t index_word) {
    RtcpAssociated associated;
    ByteWriter writer(associated);
    writer.Bytes(packet.first(kRtcpFixedHeaderSize));
    writer.U32(index_word);
    return associated;
  }

  Aead rtp_;
  Aead rtcp_;
  GcmNonce rtp_salt_{};
  GcmNonce rtcp_salt_{};
};

template <class Aead>
std::unique_ptr<SrtpTransform> MakeGcmTransformWith(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                                    SrtpDirection direction) {
  auto transform = std::make_unique<GcmTransform<Aead>>();
  if (!transform->Init(rtp, rtcp, direction)) return nullptr;
  return transform;
}

// gcm_openssl.cc
std::unique_ptr<SrtpTransform> MakeOpenSslGcm(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                              SrtpDirection direction);
// gcm_ipsec_mb.cc; null if it is not available
bool HasIpsecMb();
std::unique_ptr<SrtpTransform> MakeIpsecMbGcm(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                              SrtpDirection direction);

}  // namespace nexus
