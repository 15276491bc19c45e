// Smooths the audio levels (RFC 6464) of one source: fast to rise, slow to fall, silent when packets stop.
#pragma once

#include <optional>

#include "engine/base/time.h"

namespace nexus {

struct AudioLevelConfig {
  double attack_ms = 20;
  double release_ms = 250;
  // Maximum level. The client reports its own level, and must not displace others by an inflated one.
  double ceiling_dbov = -10;
  double silence_dbov = -50;         // at or below: not speaking
  Duration silence_after{300'000};   // time at or below that level until the source counts as silent
  Duration packet_timeout{500'000};  // time without a packet until the source counts as silent
};

class AudioLevelSmoother {
 public:
  explicit AudioLevelSmoother(const AudioLevelConfig& config = {}) : config_(config) {}

  // `level` as in the header extension: 0 (loudest) .. 127 (silence), in -dBov.
  void OnLevel(uint8_t level, Timestamp now);
  double level_dbov(Timestamp now) const;  // -127 .. 0
  bool silent(Timestamp now) const;
  // When the level was last above silence; nothing: never.
  const std::optional<Timestamp>& spoke_at() const { return last_loud_; }
  // For a muted source: levels from before say nothing about what comes after.
  void Reset() { *this = AudioLevelSmoother(config_); }

 private:
  AudioLevelConfig config_;
  double level_ = -127;
  std::optional<Timestamp> last_packet_;
  std::optional<Timestamp> last_loud_;
};

}  // namespace nexus
