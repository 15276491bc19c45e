#include "engine/srtp/gcm_library.h"

#include "engine/srtp/gcm_transform.h"

namespace nexus {

bool IsAvailable(GcmLibrary library) { return library == GcmLibrary::kOpenSsl || HasIpsecMb(); }

GcmLibrary FastestGcmLibrary() {
  return IsAvailable(GcmLibrary::kIpsecMb) ? GcmLibrary::kIpsecMb : GcmLibrary::kOpenSsl;
}

std::string_view GcmLibraryName(GcmLibrary library) {
  return library == GcmLibrary::kIpsecMb ? "intel-ipsec-mb" : "openssl";
}

std::unique_ptr<SrtpTransform> MakeGcmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                                SrtpDirection direction, GcmLibrary library) {
  if (library == GcmLibrary::kIpsecMb && HasIpsecMb()) return MakeIpsecMbGcm(rtp, rtcp, direction);
  return MakeOpenSslGcm(rtp, rtcp, direction);
}

}  // namespace nexus
