// Smooths one source's audio levels (RFC 6464): quick to rise, slow to fall, and silent when packets stop.
#pragma once

#include <optional>

#include "engine/base/time.h"

namespace nexus {

struct AudioLevelConfig {
  double attack_ms = 20;
  double release_ms = 250;
  // Louder is not believed: the level is what the client says of itself, and nobody shall shout others down.
  double ceiling_dbov = -10;
  double silence_dbov = -50;         // at or below: not speaking
  Duration silence_after{300'000};   // so long at or below before the source counts as silent
  Duration packet_timeout{500'000};  // no packet for so long: silent
};

class AudioLevelSmoother {
 public:
  explicit AudioLevelSmoother(const AudioLevelConfig& config = {}) : config_(config) {}

  // `level` as in the header extension: 0 (loudest) .. 127 (silence), in -dBov.
  void OnLevel(uint8_t level, Timestamp now);
  double level_dbov(Timestamp now) const;  // -127 .. 0
  bool silent(Timestamp now) const;
  // When it was last above silence; nothing: never.
  const std::optional<Timestamp>& spoke_at() const { return last_loud_; }
  // Muted: what was said before says nothing of what comes after.
  void Reset() { *this = AudioLevelSmoother(config_); }

 private:
  AudioLevelConfig config_;
  double level_ = -127;
  std::optional<Timestamp> last_packet_;
  std::optional<Timestamp> last_loud_;
};

}  // namespace nexus
