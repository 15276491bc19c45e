// Places each selected source into an audio slot of one subscriber: the slot whose pair shows the speaker, so
// that audio and video stay in sync, or otherwise a spare one. A placed source moves only while it is silent.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/base/ids.h"

namespace nexus {

using ParticipantNumber = StrongId<struct ParticipantNumberTag, uint32_t>;

struct AudioSlotState {
  SlotId slot;
  bool paired = false;                     // false: a spare slot
  std::optional<ParticipantNumber> shown;  // the participant in the pair's video slot
};

struct SelectedAudio {
  TrackId track;
  ParticipantNumber owner;
  bool silent = true;
};

struct AudioPlacementChange {
  SlotId slot;
  std::optional<TrackId> track;  // nothing: unbind
};

class SlotPlacement {
 public:
  // Takes the subscriber's audio slots in SDP order, and the selected sources without its own. The changes
  // are valid until the next call; unbinds precede binds.
  std::span<const AudioPlacementChange> Update(std::span<const AudioSlotState> slots,
                                               std::span<const SelectedAudio> selected);
  std::optional<TrackId> track_in(SlotId slot) const;
  // Number of sources without a slot after the last update.
  size_t unplaced() const { return unplaced_; }

 private:
  struct Place {
    SlotId slot;
    std::optional<TrackId> track;
  };
  void KeepWhatStays(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  void MoveBesidePictures(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  void PlaceTheRest(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  size_t PlaceOf(TrackId track) const;  // wanted_.size(): not placed
  static size_t HomeOf(std::span<const AudioSlotState> slots, ParticipantNumber owner);

  std::vector<Place> places_;  // current placement
  std::vector<Place> wanted_;  // scratch space
  std::vector<AudioPlacementChange> changes_;
  size_t unplaced_ = 0;
};

}  // namespace nexus
