// Which audio one participant receives: the tracks that it has unsubscribed from, and where the room's choice
// is placed among its audio slots.
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

  // The slots, or what they show, have changed.
  void PlaceAnew() { stale_ = true; }
  // True when the slots do not follow this choice of the room yet; from now on they do.
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
