// Chooses the few sources of a room that are heard. A source that is heard stays until it is silent, so
// nobody is cut off in mid-word; the same input gives the same choice.
#pragma once

#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

struct LoudestSelectorConfig {
  size_t count = 3;
  double hysteresis_db = 6;      // a newcomer must be so much louder than the one that it replaces
  Duration min_hold{1'000'000};  // a chosen source stays at least so long
};

struct AudioCandidate {
  TrackId track;
  double level_dbov = -127;
  bool silent = true;
};

class LoudestSelector {
 public:
  explicit LoudestSelector(const LoudestSelectorConfig& config = {}) : config_(config) {}

  // All the room's live sources, each once, in any order. True when the choice changed. A source that is no
  // longer listed leaves at once.
  bool Update(std::span<const AudioCandidate> candidates, Timestamp now);
  // Ordered by when they were chosen.
  std::span<const TrackId> selected() const { return selected_; }

 private:
  struct Chosen {
    TrackId track;
    Timestamp since;
  };
  void DropMissing(std::span<const AudioCandidate> candidates);
  bool Admit(const AudioCandidate& newcomer, std::span<const AudioCandidate> candidates, Timestamp now);
  bool IsChosen(TrackId track) const;

  LoudestSelectorConfig config_;
  std::vector<Chosen> chosen_;
  std::vector<TrackId> selected_;
  std::vector<AudioCandidate> order_;  // scratch
};

}  // namespace nexus
