// Who computes AES-128-GCM: OpenSSL, which is always there, or intel-ipsec-mb where it was built in and the
// processor has what it needs. Decision 0016 has the figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nexus {

enum class GcmLibrary : uint8_t { kOpenSsl, kIpsecMb };

bool IsAvailable(GcmLibrary library);
GcmLibrary FastestGcmLibrary();
// "openssl", "intel-ipsec-mb".
std::string_view GcmLibraryName(GcmLibrary library);
std::optional<GcmLibrary> GcmLibraryFromName(std::string_view name);  // available or not
// Who computes when that one was asked for: OpenSSL in place of one that is not available.
GcmLibrary GcmLibraryInUse(GcmLibrary asked);

}  // namespace nexus
