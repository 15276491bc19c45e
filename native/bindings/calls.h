// Wrappers for calls into the engine: they release the GIL, turn errors into exceptions and check ids.
#pragma once

#include "bindings/bindings.h"

namespace nexus::bindings {

// Releases the GIL for calls that lock or block, so that other Python threads run meanwhile.
template <class Call>
auto WithoutGil(Call&& call) {
  const nb::gil_scoped_release released;
  return call();
}

inline void Check(CallError error) {
  switch (error) {
    case CallError::kNone:
      return;
    case CallError::kClosed:
      throw std::runtime_error("the engine is closed");
    case CallError::kUnknownId:
      throw nb::value_error("this id was never issued");
    case CallError::kQueueFull:
      throw std::runtime_error("the shard's command queue is full");
    case CallError::kTooManyTransports:
      throw std::runtime_error("too many transports");
    case CallError::kTooManyTaps:
      throw std::runtime_error("too many taps");
  }
}

template <class Call>
void Do(Call&& call) {
  Check(WithoutGil(call));
}

template <class Id>
Id As(int64_t id) {
  if (id < 0 || id > UINT32_MAX) throw nb::value_error("this id was never issued");
  return Id{static_cast<uint32_t>(id)};
}

}  // namespace nexus::bindings
