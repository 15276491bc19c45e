#pragma once

#include <sched.h>

#include <cstddef>

namespace nexus::load {

// Pins the calling thread to a core; negative: any core.
inline void PinToCore(int core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace nexus::load
