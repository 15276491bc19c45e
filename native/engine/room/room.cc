#include "engine/room/room.h"

#include <algorithm>
#include <cmath>

#include "engine/transport/transport.h"

namespace nexus {
namespace {

// Interval of the selection, within which new speech is heard. Levels come every 20 ms.
constexpr Duration kAudioTick{40'000};
// How long a participant counts as speaking after the last speech: a pause between two sentences.
constexpr Duration kSpeakerPause{1'000'000};
// Least change of a level that is reported to the room.
constexpr double kSpeakerStepDb = 6;

}  // namespace

Room::Room(ShardContext& context, RoomId id, Timestamp now)
    : context_(context),
      id_(id),
      selector_([&] {
        LoudestSelectorConfig config;
        config.count = context.config.audio_loudest;
        return config;
      }()),
      next_speakers_(now) {}

void Room::Remove(Transport& transport) { std::erase(transports_, &transport); }

void Room::ForgetTrack(TrackId track) {
  for (Transport* transport : transports_) transport->audio().Forget(track);
}

void Room::OnAudioTracksChanged(Timestamp now) {
  // The selection must not refer to a track that is gone.
  HandleTimeout(now);
}

void Room::HandleTimeout(Timestamp now) {
  if (Choose(now)) ++choice_;
  for (Transport* transport : transports_) {
    if (transport->audio().Follow(choice_)) Place(*transport, now);
  }
  if (is_home_ && now >= next_speakers_) TellSpeakers(now);
  const bool idle = audio_tracks_.empty() && speakers_.empty();
  context_.deadlines.Set(deadline_, idle ? kNever : now + kAudioTick);
}

void Room::Consider(PublishedTrack& track, Timestamp now) {
  if (track.kind() != MediaKind::kAudio || track.muted()) return;
  audio_tracks_.push_back(&track);
  if (!track.started()) return;
  candidates_.push_back(
      {track.id(), track.level_dbov(now), track.silent(now), track.publisher().id(), track.spoke_at()});
}

bool Room::Choose(Timestamp now) {
  audio_tracks_.clear();
  candidates_.clear();
  for (const Transport* transport : transports_) {
    for (const auto& track : transport->tracks()) Consider(*track, now);
  }
  TellLevels(now);
  for (PublishedTrack* track : relayed_) Consider(*track, now);
  if (is_home_) {
    selector_.Update(candidates_, now);
    const std::span<const TrackId> selected = selector_.selected();
    if (!std::equal(selected.begin(), selected.end(), chosen_.begin(), chosen_.end())) {
      chosen_.assign(selected.begin(), selected.end());
      TellChoice();
    }
  }
  heard_.clear();
  for (const TrackId id : chosen_) {
    const auto found = std::find_if(audio_tracks_.begin(), audio_tracks_.end(),
                                    [&](auto* track) { return track->id() == id; });
    if (found != audio_tracks_.end()) heard_.push_back({id, *found, (*found)->silent(now)});
  }
  const bool changed = heard_ != heard_before_;
  heard_before_ = heard_;
  return changed;
}

PublishedTrack* Room::FindHeard(TrackId id) const {
  const auto found = std::find_if(heard_.begin(), heard_.end(), [&](const Heard& h) { return h.id == id; });
  return found == heard_.end() ? nullptr : found->track;
}

void Room::Place(Transport& subscriber, Timestamp now) {
  slot_states_.clear();
  for (const auto& slot : subscriber.slots()) {
    if (slot->settings().kind != MediaKind::kAudio) continue;
    AudioSlotState state;
    state.slot = slot->id();
    state.paired = slot->settings().pair >= 0;
    for (const auto& video : subscriber.slots()) {
      if (!state.paired || video->settings().kind != MediaKind::kVideo) continue;
      if (video->settings().pair == slot->settings().pair && video->shown() != nullptr) {
        state.shown = video->shown()->owner();
      }
    }
    slot_states_.push_back(state);
  }
  selected_.clear();
  for (const Heard& heard : heard_) {
    // Participants do not hear themselves, nor tracks from which they have unsubscribed.
    if (heard.track->publisher().id() == subscriber.id() || !subscriber.audio().Wants(heard.track->id()))
      continue;
    selected_.push_back({heard.track->id(), heard.track->owner(), heard.silent});
  }
  for (const AudioPlacementChange& change : subscriber.audio().placement().Update(slot_states_, selected_)) {
    for (const auto& slot : subscriber.slots()) {
      if (slot->id() != change.slot) continue;
      PublishedTrack* track = change.track ? FindHeard(*change.track) : nullptr;
      if (track == nullptr) {
        slot->Unbind();
      } else {
        slot->Bind(*track, now);
      }
    }
  }
}

void Room::TellSpeakers(Timestamp now) {
  next_speakers_ = now + context_.config.speaker_interval;
  std::vector<std::pair<TrackId, double>> speakers;
  for (const PublishedTrack* track : audio_tracks_) {
    const std::optional<Timestamp>& spoke_at = track->spoke_at();
    if (track->started() && spoke_at && now - *spoke_at < kSpeakerPause) {
      speakers.emplace_back(track->id(), track->level_dbov(now));
    }
  }
  std::sort(speakers.begin(), speakers.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  const bool same = std::equal(speakers.begin(), speakers.end(), speakers_.begin(), speakers_.end(),
                               [](const auto& a, const auto& b) {
                                 return a.first == b.first && std::abs(a.second - b.second) < kSpeakerStepDb;
                               });
  if (same) return;
  speakers_ = speakers;
  context_.events.Push(SpeakersChanged{id_, std::move(speakers)});
}

}  // namespace nexus
