// Audio that one participant receives: the tracks from which it has unsubscribed, and the placement of the
// room's selection in its audio slots.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "engine/audio/slot_placement.h"

namespace nexus {

class AudioSubscription {
 public:
  void Subscribe(TrackId track) {
    unsubscribed_.erase(track);
    stale_ = true;
  }
  void Unsubscribe(TrackId track) {
    unsubscribed_.insert(track);
    stale_ = true;
  }
  bool Wants(TrackId track) const { return !unsubscribed_.contains(track); }
  // The track is gone.
  void Forget(TrackId track) { unsubscribed_.erase(track); }

  // Its slots, or the tracks that they show, have changed.
  void PlaceAnew() { stale_ = true; }
  // True when its slots do not follow this selection of the room yet; the caller then places it.
  bool Follow(uint64_t choice) {
    if (choice_ == choice && !stale_) return false;
    choice_ = choice;
    stale_ = false;
    return true;
  }
  SlotPlacement& placement() { return placement_; }

 private:
  std::unordered_set<TrackId> unsubscribed_;
  SlotPlacement placement_;
  uint64_t choice_ = 0;
  bool stale_ = true;
};

}  // namespace nexus
