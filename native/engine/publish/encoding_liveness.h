// Detection of encodings of a simulcast track that have stopped: publishers pause them without notice
// (Firefox its lowest, Chromium its highest when bandwidth is short; hard problem 22). Silence is counted in
// frames of the other encodings, so that a screen with one frame a second does not count as stopped.
#pragma once

#include <cstdint>

#include "engine/base/time.h"

namespace nexus {

class EncodingLiveness {
 public:
  bool live() const { return live_; }
  // A packet of this encoding arrived. True when it was not live before.
  bool OnOwnPacket(Timestamp now) {
    last_ = now;
    frames_elsewhere_ = 0;
    const bool began = !live_;
    live_ = true;
    return began;
  }
  // A frame of another encoding began. True when this encoding now counts as stopped.
  bool OnFrameElsewhere(Timestamp now) {
    if (!live_) return false;
    if (frames_elsewhere_ < kFrames) ++frames_elsewhere_;
    if (frames_elsewhere_ < kFrames || now - last_ < kSilence) return false;
    live_ = false;
    return true;
  }

 private:
  static constexpr uint8_t kFrames = 8;  // of up to three others
  static constexpr Duration kSilence{400'000};

  bool live_ = false;
  uint8_t frames_elsewhere_ = 0;
  Timestamp last_{};
};

}  // namespace nexus
