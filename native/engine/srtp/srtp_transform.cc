#include "engine/srtp/srtp_transform.h"

namespace nexus {

std::unique_ptr<SrtpTransform> MakeSrtpTransform(SrtpProfile profile, const SrtpKeyMaterial& material,
                                                 SrtpDirection direction, GcmLibrary library) {
  const auto rtp = DeriveSrtpSessionKeys(profile, material, SrtpPacketKind::kRtp);
  const auto rtcp = DeriveSrtpSessionKeys(profile, material, SrtpPacketKind::kRtcp);
  if (!rtp || !rtcp) return nullptr;
  switch (profile) {
    case SrtpProfile::kAeadAes128Gcm:
      return MakeGcmTransform(*rtp, *rtcp, direction, library);
    case SrtpProfile::kAes128CmHmacSha1_80:
      return MakeCmTransform(*rtp, *rtcp);
  }
  return nullptr;
}

}  // namespace nexus
