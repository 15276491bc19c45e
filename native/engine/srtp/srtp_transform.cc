#include "engine/srtp/srtp_transform.h"

namespace nexus {

std::unique_ptr<SrtpTransform> MakeSrtpTransform(SrtpProfile profile, const SrtpKeyMaterial& material,
                                                 SrtpDirection direction) {
  switch (profile) {
    case SrtpProfile::kAeadAes128Gcm:
      return MakeGcmTransform(material, direction);
    case SrtpProfile::kAes128CmHmacSha1_80:
      return MakeCmTransform(material);
  }
  return nullptr;
}

}  // namespace nexus
