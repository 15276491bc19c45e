// A call in which OpenSSL's clock is the emulated one too. Apart from emulated_call.h, for it takes the place
// of libc's clock in the whole program (nexus_emulated_wall_clock).
#pragma once

#include "engine/dtls/emulated_wall_clock.h"
#include "testing/emulated_call.h"

namespace nexus::testing {

inline EmulatedCallOptions EmulatedOptions(uint64_t seed = 1, size_t shards = 1) {
  EmulatedCallOptions options;
  options.seed = seed;
  options.shards = shards;
  options.on_time = SetEmulatedWallClock;
  return options;
}

}  // namespace nexus::testing
