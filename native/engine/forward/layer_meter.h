// How much one published encoding sends, by spatial and temporal layer. Windows of a second, longer while few
// frames come: a shared screen that stands still is no smaller for it.
#pragma once

#include "engine/base/time.h"
#include "engine/forward/layer_target.h"

namespace nexus {

class LayerMeter {
 public:
  // `frame_start`: the packet begins a frame. Layers above what is counted are counted with the highest.
  void OnPacket(uint8_t spatial, uint8_t temporal, size_t bytes, bool frame_start, Timestamp now);
  // Bits per second of each layer for itself. Before the first window is full: of what came so far.
  LayerRates Rates(Timestamp now) const;
  // Nothing of it counts any more: the encoding stopped.
  void Reset() { *this = LayerMeter(); }

 private:
  static constexpr Duration kWindow{1'000'000};
  static constexpr Duration kSlowWindow{4'000'000};
  static constexpr Duration kFirstLook{200'000};
  static constexpr uint32_t kFramesOfAWindow = 5;

  bool WindowEnds(Timestamp now) const;
  LayerRates Measured(Timestamp now) const;

  LayerRates bytes_{};  // of the window that runs
  LayerRates rates_{};
  Timestamp begin_{};
  uint32_t frames_ = 0;
  bool running_ = false;
  bool measured_ = false;  // rates_ is of a whole window
};

}  // namespace nexus
