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

std::optional<GcmLibrary> GcmLibraryFromName(std::string_view name) {
  for (const GcmLibrary library : {GcmLibrary::kOpenSsl, GcmLibrary::kIpsecMb}) {
    if (GcmLibraryName(library) == name) return library;
  }
  return std::nullopt;
}

GcmLibrary GcmLibraryInUse(GcmLibrary asked) { return IsAvailable(asked) ? asked : GcmLibrary::kOpenSsl; }

std::unique_ptr<SrtpTransform> MakeGcmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                                SrtpDirection direction, GcmLibrary library) {
  if (GcmLibraryInUse(library) == GcmLibrary::kIpsecMb) return MakeIpsecMbGcm(rtp, rtcp, direction);
  return MakeOpenSslGcm(rtp, rtcp, direction);
}

}  // namespace nexus
