// Into which audio slot of one subscriber each selected source goes: the slot whose pair shows the speaker,
// so that lips stay in sync, else a spare one. Moved only in silence; otherwise what is placed stays where it
// is.
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
  std::optional<ParticipantNumber> shown;  // whom the pair's video slot shows
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
  // The subscriber's audio slots in SDP order, and the selected sources without the subscriber's own. The
  // changes are valid until the next call; unbinds come before binds.
  std::span<const AudioPlacementChange> Update(std::span<const AudioSlotState> slots,
                                               std::span<const SelectedAudio> selected);
  std::optional<TrackId> track_in(SlotId slot) const;
  // Sources for which there was no slot in the last update.
  size_t unplaced() const { return unplaced_; }

 private:
  struct Place {
    SlotId slot;
    std::optional<TrackId> track;
  };
  void KeepWhatStays(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  void MoveBesidePictures(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  void PlaceTheRest(std::span<const AudioSlotState> slots, std::span<const SelectedAudio> selected);
  size_t PlaceOf(TrackId track) const;  // wanted_.size(): nowhere
  static size_t HomeOf(std::span<const AudioSlotState> slots, ParticipantNumber owner);

  std::vector<Place> places_;  // what is
  std::vector<Place> wanted_;  // scratch
  std::vector<AudioPlacementChange> changes_;
  size_t unplaced_ = 0;
};

}  // namespace nexus
