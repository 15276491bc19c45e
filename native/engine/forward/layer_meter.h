// Measures the bitrate of one published encoding by spatial and temporal layer, in windows of a second or,
// with few frames, longer ones: a static shared screen does not need less bandwidth for its next frame.
#pragma once

#include "engine/base/time.h"
#include "engine/forward/layer_target.h"

namespace nexus {

class LayerMeter {
 public:
  // `frame_start`: the packet begins a frame. Layers above the highest counted one are added to it.
  void OnPacket(uint8_t spatial, uint8_t temporal, size_t bytes, bool frame_start, Timestamp now);
  // Bits per second of each layer alone. Before the first window is complete: of what has arrived so far.
  LayerRates Rates(Timestamp now) const;
  // Discards the measurement, because the encoding has stopped.
  void Reset() { *this = LayerMeter(); }

 private:
  static constexpr Duration kWindow{1'000'000};
  static constexpr Duration kSlowWindow{4'000'000};
  static constexpr Duration kFirstLook{200'000};
  static constexpr uint32_t kFramesOfAWindow = 5;

  bool WindowEnds(Timestamp now) const;
  LayerRates Measured(Timestamp now) const;

  LayerRates bytes_{};  // of the current window
  LayerRates rates_{};
  Timestamp begin_{};
  uint32_t frames_ = 0;
  bool running_ = false;
  bool measured_ = false;  // rates_ is of a complete window
};

}  // namespace nexus
