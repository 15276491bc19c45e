// AEAD_AES_128_GCM for SRTP and SRTCP (RFC 7714).
#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "engine/srtp/srtp_transform.h"

namespace nexus {

namespace {

constexpr size_t kTagSize = 16;
using Nonce = std::array<uint8_t, 12>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// One keyed context and the salt of its nonces.
class Aead {
 public:
  bool Init(const SrtpSessionKeys& keys, SrtpDirection direction) {
    std::memcpy(salt_.data(), keys.salt.data(), salt_.size());
    const int encrypt = direction == SrtpDirection::kSeal ? 1 : 0;
    return context_ && EVP_CipherInit_ex(context_.get(), EVP_aes_128_gcm(), nullptr, keys.cipher_key.data(),
                                         nullptr, encrypt) == 1;
  }
  // RFC 7714 section 8.1 and 9.1: 16 zero bits, SSRC, 48 bits of index, XOR salt.
  bool Begin(uint32_t ssrc, uint64_t index) {
    Nonce nonce;
    ByteWriter writer(nonce);
    writer.U16(0);
    writer.U32(ssrc);
    writer.U48(index);
    for (size_t i = 0; i < nonce.size(); ++i) nonce[i] ^= salt_[i];
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1;
  }
  bool Associate(ByteView bytes) {
    int written = 0;
    return EVP_CipherUpdate(context_.get(), nullptr, &written, bytes.data(),
                            static_cast<int>(bytes.size())) == 1;
  }
  bool Transform(ByteView in, uint8_t* out) {
    int written = 0;
    return in.empty() ||
           EVP_CipherUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())) == 1;
  }
  bool FinishSeal(uint8_t* tag) {
    int written = 0;
    return EVP_CipherFinal_ex(context_.get(), tag, &written) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1;
  }
  // The comparison inside EVP_CipherFinal is in constant time.
  bool FinishOpen(uint8_t* tag) {
    int written = 0;
    uint8_t nothing = 0;
    return EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag) == 1 &&
           EVP_CipherFinal_ex(context_.get(), &nothing, &written) == 1;
  }

 private:
  CipherContext context_{EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free};
  Nonce salt_{};
};

std::array<uint8_t, kSrtcpIndexSize> IndexBytes(uint32_t index_word) {
  std::array<uint8_t, kSrtcpIndexSize> bytes;
  ByteWriter(bytes).U32(index_word);
  return bytes;
}

class GcmTransform final : public SrtpTransform {
 public:
  bool Init(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp, SrtpDirection direction) {
    return rtp_.Init(rtp, direction) && rtcp_.Init(rtcp, direction);
  }

  // Header in clear and associated (RFC 7714 section 8.2), cipher text, tag.
  size_t SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index,
                 MutableByteView out) override {
    uint8_t* const body = out.data() + header.size();
    const size_t body_size = prefix.size() + payload.size();
    std::memcpy(out.data(), header.data(), header.size());
    if (!rtp_.Begin(ReadU32(header, 8), index) || !rtp_.Associate(header) || !rtp_.Transform(prefix, body) ||
        !rtp_.Transform(payload, body + prefix.size()) || !rtp_.FinishSeal(body + body_size)) {
      return 0;
    }
    return header.size() + body_size + kTagSize;
  }

  // Header, cipher text, tag, E bit and index; header and index word are associated (RFC 7714 section 9.2).
  size_t SealRtcp(ByteView packet, uint32_t index, MutableByteView out) override {
    const ByteView header = packet.first(kRtcpFixedHeaderSize);
    const auto index_word = IndexBytes(index | kSrtcpEncryptedBit);
    std::memcpy(out.data(), header.data(), header.size());
    if (!rtcp_.Begin(ReadU32(header, 4), index) || !rtcp_.Associate(header) || !rtcp_.Associate(index_word) ||
        !rtcp_.Transform(packet.subspan(header.size()), out.data() + header.size()) ||
        !rtcp_.FinishSeal(out.data() + packet.size())) {
      return 0;
    }
    std::memcpy(out.data() + packet.size() + kTagSize, index_word.data(), index_word.size());
    return packet.size() + kTagSize + kSrtcpIndexSize;
  }

  bool OpenRtp(MutableByteView packet, size_t header_size, uint64_t index) override {
    const MutableByteView body = packet.subspan(header_size, packet.size() - header_size - kTagSize);
    return rtp_.Begin(ReadU32(packet, 8), index) && rtp_.Associate(packet.first(header_size)) &&
           rtp_.Transform(body, body.data()) && rtp_.FinishOpen(body.data() + body.size());
  }

  bool OpenRtcp(MutableByteView packet, uint32_t index_word) override {
    const size_t body_size = packet.size() - kRtcpFixedHeaderSize - kTagSize - kSrtcpIndexSize;
    const MutableByteView body = packet.subspan(kRtcpFixedHeaderSize, body_size);
    return rtcp_.Begin(ReadU32(packet, 4), index_word & ~kSrtcpEncryptedBit) &&
           rtcp_.Associate(packet.first(kRtcpFixedHeaderSize)) && rtcp_.Associate(IndexBytes(index_word)) &&
           rtcp_.Transform(body, body.data()) && rtcp_.FinishOpen(body.data() + body.size());
  }

  size_t RtcpIndexOffset(size_t packet_size) const override { return packet_size - kSrtcpIndexSize; }
  SrtpProfile profile() const override { return SrtpProfile::kAeadAes128Gcm; }

 private:
  Aead rtp_;
  Aead rtcp_;
};

}  // namespace

std::unique_ptr<SrtpTransform> MakeGcmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                                SrtpDirection direction) {
  auto transform = std::make_unique<GcmTransform>();
  if (!transform->Init(rtp, rtcp, direction)) return nullptr;
  return transform;
}

}  // namespace nexus
