#include "engine/audio/slot_placement.h"

#include <algorithm>

namespace nexus {
namespace {

const SelectedAudio* FindSelected(std::span<const SelectedAudio> selected, TrackId track) {
  const auto found = std::find_if(selected.begin(), selected.end(),
                                  [&](const SelectedAudio& s) { return s.track == track; });
  return found == selected.end() ? nullptr : &*found;
}

bool Shows(const AudioSlotState& slot, ParticipantNumber owner) { return slot.paired && slot.shown == owner; }

}  // namespace

std::optional<TrackId> SlotPlacement::track_in(SlotId slot) const {
  for (const Place& place : places_) {
    if (place.slot == slot) return place.track;
  }
  return std::nullopt;
}

void SlotPlacement::KeepWhatStays(std::span<const AudioSlotState> slots,
                                  std::span<const SelectedAudio> selected) {
  wanted_.clear();
  for (const AudioSlotState& slot : slots) {
    Place place{slot.slot, track_in(slot.slot)};
    if (place.track && FindSelected(selected, *place.track) == nullptr) place.track.reset();
    wanted_.push_back(place);
  }
}

// A silent source that is not beside its owner's video moves there; a silent guest in that place makes room.
// A silent source beside another participant's video is placed again.
void SlotPlacement::MoveBesidePictures(std::span<const AudioSlotState> slots,
                                       std::span<const SelectedAudio> selected) {
  for (const SelectedAudio& source : selected) {
    const size_t home = HomeOf(slots, source.owner);
    const size_t place = PlaceOf(source.track);
    const bool placed = place != slots.size();
    // A source beside its owner's video (an owner may be shown twice), or one that is not silent, stays.
    if (placed && (Shows(slots[place], source.owner) || !source.silent)) continue;
    if (home == slots.size()) {
      if (placed && slots[place].shown) wanted_[place].track.reset();
      continue;
    }
    if (const auto guest = wanted_[home].track) {
      const SelectedAudio* state = FindSelected(selected, *guest);
      if (Shows(slots[home], state->owner) || !state->silent) continue;
    }
    if (placed) wanted_[place].track.reset();
    wanted_[home].track = source.track;  // a guest is placed again below
  }
}

// A source takes a spare slot first, then one whose pair shows no video. It takes one beside another
// participant's video only if there is no other: playing the audio matters more than lip sync.
void SlotPlacement::PlaceTheRest(std::span<const AudioSlotState> slots,
                                 std::span<const SelectedAudio> selected) {
  const auto rank = [](const AudioSlotState& slot) { return !slot.paired ? 0 : (slot.shown ? 2 : 1); };
  unplaced_ = 0;
  for (const SelectedAudio& source : selected) {
    if (PlaceOf(source.track) != slots.size()) continue;
    size_t best = slots.size();
    for (size_t i = 0; i < slots.size(); ++i) {
      if (wanted_[i].track) continue;
      if (best == slots.size() || rank(slots[i]) < rank(slots[best])) best = i;
    }
    if (best == slots.size()) {
      ++unplaced_;
    } else {
      wanted_[best].track = source.track;
    }
  }
}

size_t SlotPlacement::PlaceOf(TrackId track) const {
  const auto found =
      std::find_if(wanted_.begin(), wanted_.end(), [&](const Place& p) { return p.track == track; });
  return static_cast<size_t>(found - wanted_.begin());
}

size_t SlotPlacement::HomeOf(std::span<const AudioSlotState> slots, ParticipantNumber owner) {
  const auto found = std::find_if(slots.begin(), slots.end(),
                                  [&](const AudioSlotState& slot) { return Shows(slot, owner); });
  return static_cast<size_t>(found - slots.begin());
}

std::span<const AudioPlacementChange> SlotPlacement::Update(std::span<const AudioSlotState> slots,
                                                            std::span<const SelectedAudio> selected) {
  KeepWhatStays(slots, selected);
  MoveBesidePictures(slots, selected);
  PlaceTheRest(slots, selected);
  changes_.clear();
  for (const Place& place : wanted_) {
    const auto before = track_in(place.slot);
    if (before && before != place.track) changes_.push_back({place.slot, std::nullopt});
  }
  for (const Place& place : wanted_) {
    if (place.track && track_in(place.slot) != place.track) changes_.push_back({place.slot, place.track});
  }
  places_ = wanted_;
  return changes_;
}

}  // namespace nexus
