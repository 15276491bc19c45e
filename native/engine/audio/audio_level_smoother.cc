#include "engine/audio/audio_level_smoother.h"

#include <algorithm>
#include <cmath>

namespace nexus {

void AudioLevelSmoother::OnLevel(uint8_t level, Timestamp now) {
  const double dbov = std::min(config_.ceiling_dbov, -static_cast<double>(std::min<uint8_t>(level, 127)));
  if (!last_packet_ || now - *last_packet_ > config_.packet_timeout) {
    level_ = dbov;
  } else {
    const double elapsed_ms = std::max(1.0, static_cast<double>((now - *last_packet_).count()) / 1000.0);
    const double constant_ms = dbov > level_ ? config_.attack_ms : config_.release_ms;
    level_ += (dbov - level_) * (1 - std::exp(-elapsed_ms / constant_ms));
  }
  last_packet_ = now;
  if (dbov > config_.silence_dbov) last_loud_ = now;
}

double AudioLevelSmoother::level_dbov(Timestamp now) const {
  if (!last_packet_ || now - *last_packet_ > config_.packet_timeout) return -127;
  return level_;
}

bool AudioLevelSmoother::silent(Timestamp now) const {
  if (!last_packet_ || now - *last_packet_ > config_.packet_timeout) return true;
  return !last_loud_ || now - *last_loud_ >= config_.silence_after;
}

}  // namespace nexus
