// Options of a call in which OpenSSL's clock is emulated too. Apart from emulated_room.h, because that clock
// replaces libc's in the whole program (nexus_emulated_wall_clock).
#pragma once

#include "engine/dtls/emulated_wall_clock.h"
#include "testing/emulated_room.h"

namespace nexus::testing {

inline EmulatedCallOptions EmulatedOptions(uint64_t seed = 1, size_t shards = 1) {
  EmulatedCallOptions options;
  options.seed = seed;
  options.shards = shards;
  options.on_time = SetEmulatedWallClock;
  return options;
}

}  // namespace nexus::testing
