#include "engine/dtls/emulated_wall_clock.h"

#include <gtest/gtest.h>
#include <sys/time.h>

namespace {
int64_t emulated_us = 0;
}  // namespace

extern "C" int gettimeofday(struct timeval* __restrict out, void* __restrict) noexcept {
  out->tv_sec = emulated_us / 1'000'000;
  out->tv_usec = emulated_us % 1'000'000;
  return 0;
}

namespace nexus {

void SetEmulatedWallClock(Timestamp now) { emulated_us = now.time_since_epoch().count(); }

}  // namespace nexus
