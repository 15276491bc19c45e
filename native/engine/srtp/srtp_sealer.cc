#include "engine/srtp/srtp_sealer.h"

#include "engine/srtp/srtp_transform.h"

namespace nexus {

SrtpSealer::SrtpSealer(SrtpProfile profile, const SrtpKeyMaterial& material, GcmLibrary library)
    : profile_(profile), transform_(MakeSrtpTransform(profile, material, SrtpDirection::kSeal, library)) {}
SrtpSealer::~SrtpSealer() = default;
SrtpSealer::SrtpSealer(SrtpSealer&&) noexcept = default;
SrtpSealer& SrtpSealer::operator=(SrtpSealer&&) noexcept = default;

size_t SrtpSealer::SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index,
                           MutableByteView out) {
  if (!transform_ || header.size() < kRtpFixedHeaderSize || index >> 48 != 0) return 0;
  if (out.size() < header.size() + prefix.size() + payload.size() + SrtpTagSize(profile_)) return 0;
  // If index and header disagreed, a nonce would eventually be used twice.
  const uint16_t sequence = static_cast<uint16_t>(header[2] << 8 | header[3]);
  if (sequence != static_cast<uint16_t>(index)) return 0;
  return transform_->SealRtp(header, prefix, payload, index, out);
}

void SrtpSealer::Prefetch() const {
  if (transform_) transform_->Prefetch();
}

size_t SrtpSealer::SealRtcp(ByteView packet, MutableByteView out) {
  if (!transform_ || packet.size() < kRtcpFixedHeaderSize || rtcp_index_ >= kSrtcpEncryptedBit) return 0;
  if (out.size() < packet.size() + SrtpTagSize(profile_) + kSrtcpIndexSize) return 0;
  return transform_->SealRtcp(packet, rtcp_index_++, out);
}

}  // namespace nexus
