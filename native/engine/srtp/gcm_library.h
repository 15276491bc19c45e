// The libraries for AES-128-GCM: OpenSSL, which is always available, and intel-ipsec-mb if it was built in
// and the processor supports it. Decision 0016 has the measurements.
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
std::optional<GcmLibrary> GcmLibraryFromName(std::string_view name);  // whether or not it is available
// The library that is used if `asked` was requested: OpenSSL replaces one that is not available.
GcmLibrary GcmLibraryInUse(GcmLibrary asked);

}  // namespace nexus
