// The declarations of the bindings: each file has one function, which adds its part to the module. The
// bindings translate; the engine decides.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/codec/codec.h"
#include "io/engine.h"

namespace nexus::bindings {

namespace nb = nanobind;

// Python's numbers of the codecs, which begin at 1; the engine's begin at 0.
enum class PyCodec { kOpus = 1, kVp8 = 2, kVp9 = 3, kH264 = 4, kAv1 = 5 };
constexpr PyCodec ToPython(Codec codec) { return static_cast<PyCodec>(static_cast<int>(codec) + 1); }
constexpr Codec FromPython(PyCodec codec) { return static_cast<Codec>(static_cast<int>(codec) - 1); }

enum class PyHeaderExtension {
  kAudioLevel = 1,
  kAbsSendTime = 2,
  kTransportWideCc = 3,
  kMid = 4,
  kRtpStreamId = 5,
  kRepairedRtpStreamId = 6,
  kDependencyDescriptor = 7,
  kVideoOrientation = 8,
};

// Raises ValueError if `wrong` describes an error.
inline void Require(const std::optional<std::string>& wrong) {
  if (wrong) throw nb::value_error(wrong->c_str());
}

void AddEnums(nb::module_& module);
void AddConfig(nb::module_& module);
void AddOptions(nb::module_& module);
void AddStats(nb::module_& module);
void AddEvents(nb::module_& module);
void AddTaps(nb::module_& module);
void AddTapCalls(nb::class_<Engine>& engine);
void AddEngine(nb::module_& module);
void AddDataCalls(nb::class_<Engine>& engine);

// (spatial, temporal)
inline std::optional<std::pair<int, int>> ToPython(const std::optional<LayerTarget>& layer) {
  if (!layer) return std::nullopt;
  return std::pair<int, int>(layer->spatial, layer->temporal);
}

}  // namespace nexus::bindings
