// Selects the few audible sources of a room. A selected source stays until it is silent, so that no speaker
// is cut off in mid-word. A new speaker replaces the source that has been silent for longest, so that a pause
// between two sentences does not lose the place. The choice is deterministic.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

struct LoudestSelectorConfig {
  size_t count = 3;
  double hysteresis_db = 6;      // a newcomer must be louder by this much than the source that it replaces
  Duration min_hold{1'000'000};  // minimum time that a selected source stays
  // A microphone and a screen's audio: publishing a hundred loud tracks gains nothing.
  size_t max_per_publisher = 2;
};

struct AudioCandidate {
  TrackId track;
  double level_dbov = -127;
  bool silent = true;
  TransportId publisher;
  std::optional<Timestamp> spoke_at;  // nothing: never
};

class LoudestSelector {
 public:
  explicit LoudestSelector(const LoudestSelectorConfig& config = {}) : config_(config) {}

  // Takes all live sources of the room, each once, in any order. True if the choice changed. A source that is
  // no longer listed is removed at once.
  bool Update(std::span<const AudioCandidate> candidates, Timestamp now);
  // In the order in which they were selected.
  std::span<const TrackId> selected() const { return selected_; }

 private:
  struct Chosen {
    TrackId track;
    Timestamp since;
  };
  void DropMissing(std::span<const AudioCandidate> candidates);
  bool Admit(const AudioCandidate& newcomer, std::span<const AudioCandidate> candidates, Timestamp now);
  bool IsChosen(TrackId track) const;
  bool HasItsShare(TransportId publisher, std::span<const AudioCandidate> candidates) const;

  LoudestSelectorConfig config_;
  std::vector<Chosen> chosen_;
  std::vector<TrackId> selected_;
  std::vector<AudioCandidate> order_;  // scratch space
};

}  // namespace nexus
