// AES_CM_128_HMAC_SHA1_80 for SRTP and SRTCP (RFC 3711 sections 4.1.1 and 4.2): counter mode, then a
// truncated HMAC over the encrypted packet. Counter mode is its own inverse, so both directions use the same
// code.
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "engine/srtp/hmac_sha1.h"
#include "engine/srtp/srtp_transform.h"

namespace nexus {

namespace {

constexpr size_t kTagSize = 10;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

std::array<uint8_t, 4> Big32(uint32_t value) {
  std::array<uint8_t, 4> bytes;
  ByteWriter(bytes).U32(value);
  return bytes;
}

class Cipher {
 public:
  explicit Cipher(const SrtpSessionKeys& keys)
      : context_(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free), hmac_(keys.auth_key) {
    std::memcpy(salt_.data(), keys.salt.data(), keys.salt.size());
    ok_ = context_ && EVP_EncryptInit_ex(context_.get(), EVP_aes_128_ctr(), nullptr, keys.cipher_key.data(),
                                         salt_.data()) == 1;
  }
  bool ok() const { return ok_; }

  // RFC 3711 section 4.1.1: IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16).
  bool Begin(uint32_t ssrc, uint64_t index) {
    std::array<uint8_t, 16> iv;
    ByteWriter writer(iv);
    writer.U32(0);
    writer.U32(ssrc);
    writer.U48(index);
    writer.U16(0);
    for (size_t i = 0; i < iv.size(); ++i) iv[i] ^= salt_[i];
    return EVP_EncryptInit_ex(context_.get(), nullptr, nullptr, nullptr, iv.data()) == 1;
  }
  bool Transform(ByteView in, uint8_t* out) {
    int written = 0;
    return in.empty() ||
           EVP_EncryptUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())) == 1;
  }
  // `suffix` is the ROC for SRTP (section 4.2), and empty for SRTCP, whose index is inside the packet.
  void WriteTag(ByteView authenticated, ByteView suffix, uint8_t* tag) const {
    std::memcpy(tag, hmac_.Compute(authenticated, suffix).data(), kTagSize);
  }
  bool CheckTag(ByteView authenticated, ByteView suffix, const uint8_t* tag) const {
    return CRYPTO_memcmp(hmac_.Compute(authenticated, suffix).data(), tag, kTagSize) == 0;
  }

 private:
  CipherContext context_;
  HmacSha1 hmac_;
  std::array<uint8_t, 16> salt_{};
  bool ok_ = false;
};

class CmTransform final : public SrtpTransform {
 public:
  CmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp) : rtp_(rtp), rtcp_(rtcp) {}
  bool ok() const { return rtp_.ok() && rtcp_.ok(); }

  size_t SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index,
                 MutableByteView out) override {
    uint8_t* const body = out.data() + header.size();
    const size_t size = header.size() + prefix.size() + payload.size();
    std::memcpy(out.data(), header.data(), header.size());
    if (!rtp_.Begin(ReadU32(header, 8), index) || !rtp_.Transform(prefix, body) ||
        !rtp_.Transform(payload, body + prefix.size())) {
      return 0;
    }
    rtp_.WriteTag(out.first(size), Big32(static_cast<uint32_t>(index >> 16)), out.data() + size);
    return size + kTagSize;
  }

  // Header, cipher text, E bit and index, tag (RFC 3711 section 3.4).
  size_t SealRtcp(ByteView packet, uint32_t index, MutableByteView out) override {
    std::memcpy(out.data(), packet.data(), kRtcpFixedHeaderSize);
    if (!rtcp_.Begin(ReadU32(packet, 4), index) ||
        !rtcp_.Transform(packet.subspan(kRtcpFixedHeaderSize), out.data() + kRtcpFixedHeaderSize)) {
      return 0;
    }
    const auto index_word = Big32(index | kSrtcpEncryptedBit);
    std::memcpy(out.data() + packet.size(), index_word.data(), index_word.size());
    const size_t size = packet.size() + kSrtcpIndexSize;
    rtcp_.WriteTag(out.first(size), {}, out.data() + size);
    return size + kTagSize;
  }

  bool OpenRtp(MutableByteView packet, size_t header_size, uint64_t index) override {
    const MutableByteView authenticated = packet.first(packet.size() - kTagSize);
    if (!rtp_.CheckTag(authenticated, Big32(static_cast<uint32_t>(index >> 16)),
                       packet.data() + authenticated.size())) {
      return false;
    }
    const MutableByteView body = authenticated.subspan(header_size);
    return rtp_.Begin(ReadU32(packet, 8), index) && rtp_.Transform(body, body.data());
  }

  bool OpenRtcp(MutableByteView packet, uint32_t index_word) override {
    const MutableByteView authenticated = packet.first(packet.size() - kTagSize);
    if (!rtcp_.CheckTag(authenticated, {}, packet.data() + authenticated.size())) return false;
    const size_t body_size = authenticated.size() - kRtcpFixedHeaderSize - kSrtcpIndexSize;
    const MutableByteView body = packet.subspan(kRtcpFixedHeaderSize, body_size);
    return rtcp_.Begin(ReadU32(packet, 4), index_word & ~kSrtcpEncryptedBit) &&
           rtcp_.Transform(body, body.data());
  }

  size_t RtcpIndexOffset(size_t packet_size) const override {
    return packet_size - kTagSize - kSrtcpIndexSize;
  }
  SrtpProfile profile() const override { return SrtpProfile::kAes128CmHmacSha1_80; }

 private:
  Cipher rtp_;
  Cipher rtcp_;
};

}  // namespace

std::unique_ptr<SrtpTransform> MakeCmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp) {
  auto transform = std::make_unique<CmTransform>(rtp, rtcp);
  if (!transform->ok()) return nullptr;
  return transform;
}

}  // namespace nexus
