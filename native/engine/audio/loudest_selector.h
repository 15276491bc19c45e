// Chooses the few sources of a room that are heard. A source that is heard stays until it is silent, so
// nobody is cut off in mid-word; of the silent the one goes that has not spoken for longest, so that a pause
// between two sentences costs nobody the place. The same input gives the same choice.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

struct LoudestSelectorConfig {
  size_t count = 3;
  double hysteresis_db = 6;      // a newcomer must be so much louder than the one that it replaces
  Duration min_hold{1'000'000};  // a chosen source stays at least so long
  // A microphone and a screen's sound: who publishes a hundred loud tracks is heard no more than others.
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
  bool HasItsShare(TransportId publisher, std::span<const AudioCandidate> candidates) const;

  LoudestSelectorConfig config_;
  std::vector<Chosen> chosen_;
  std::vector<TrackId> selected_;
  std::vector<AudioCandidate> order_;  // scratch
};

}  // namespace nexus
