// For tests only: OpenSSL 3.0 times DTLS by gettimeofday. The test program defines this function (a strong
// symbol in emulated_wall_clock_test.cc, which the dynamic linker prefers), so that handshakes run in
// emulated time.
#pragma once

#include "engine/base/time.h"

namespace nexus {

void SetEmulatedWallClock(Timestamp now);

}  // namespace nexus
