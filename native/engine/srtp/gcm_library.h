// Who computes AES-128-GCM: OpenSSL, which is always there, or intel-ipsec-mb where it was built in and the
// processor has what it needs. Decision 0080 has the figures.
#pragma once

#include <cstdint>
#include <string_view>

namespace nexus {

enum class GcmLibrary : uint8_t { kOpenSsl, kIpsecMb };

bool IsAvailable(GcmLibrary library);
GcmLibrary FastestGcmLibrary();
std::string_view GcmLibraryName(GcmLibrary library);

}  // namespace nexus
