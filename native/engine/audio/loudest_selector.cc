#include "engine/audio/loudest_selector.h"

#include <algorithm>

namespace nexus {
namespace {

const AudioCandidate* FindCandidate(std::span<const AudioCandidate> candidates, TrackId track) {
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const AudioCandidate& c) { return c.track == track; });
  return found == candidates.end() ? nullptr : &*found;
}

bool LeavesBefore(const AudioCandidate& a, const AudioCandidate& b) {
  if (a.spoke_at != b.spoke_at) return a.spoke_at < b.spoke_at;  // a source that never spoke comes first
  return a.level_dbov < b.level_dbov;
}

}  // namespace

bool LoudestSelector::HasItsShare(TransportId publisher, std::span<const AudioCandidate> candidates) const {
  const auto chosen = std::count_if(chosen_.begin(), chosen_.end(), [&](const Chosen& c) {
    return FindCandidate(candidates, c.track)->publisher == publisher;
  });
  return static_cast<size_t>(chosen) >= config_.max_per_publisher;
}

bool LoudestSelector::IsChosen(TrackId track) const {
  return std::any_of(chosen_.begin(), chosen_.end(), [&](const Chosen& c) { return c.track == track; });
}

void LoudestSelector::DropMissing(std::span<const AudioCandidate> candidates) {
  std::erase_if(chosen_, [&](const Chosen& c) { return FindCandidate(candidates, c.track) == nullptr; });
}

bool LoudestSelector::Admit(const AudioCandidate& newcomer, std::span<const AudioCandidate> candidates,
                            Timestamp now) {
  if (chosen_.size() < config_.count) {
    chosen_.push_back({newcomer.track, now});
    return true;
  }
  // The source to replace: among those that are silent and were held long enough, the one that has not spoken
  // for longest.
  auto leaving = chosen_.end();
  const AudioCandidate* leaving_state = nullptr;
  for (auto it = chosen_.begin(); it != chosen_.end(); ++it) {
    const AudioCandidate* state = FindCandidate(candidates, it->track);
    if (!state->silent || now - it->since < config_.min_hold) continue;
    if (leaving_state == nullptr || LeavesBefore(*state, *leaving_state)) {
      leaving = it;
      leaving_state = state;
    }
  }
  if (leaving_state == nullptr || newcomer.level_dbov < leaving_state->level_dbov + config_.hysteresis_db) {
    return false;
  }
  chosen_.erase(leaving);
  chosen_.push_back({newcomer.track, now});
  return true;
}

bool LoudestSelector::Update(std::span<const AudioCandidate> candidates, Timestamp now) {
  DropMissing(candidates);
  order_.assign(candidates.begin(), candidates.end());
  std::sort(order_.begin(), order_.end(), [](const AudioCandidate& a, const AudioCandidate& b) {
    if (a.silent != b.silent) return !a.silent;
    if (a.level_dbov != b.level_dbov) return a.level_dbov > b.level_dbov;
    return a.track < b.track;
  });
  for (const AudioCandidate& candidate : order_) {
    if (IsChosen(candidate.track) || HasItsShare(candidate.publisher, candidates)) continue;
    // Silent sources only fill free places, so that their first word is audible.
    if (candidate.silent && chosen_.size() >= config_.count) break;
    if (!Admit(candidate, candidates, now)) break;
  }
  const bool same = std::equal(chosen_.begin(), chosen_.end(), selected_.begin(), selected_.end(),
                               [](const Chosen& c, TrackId track) { return c.track == track; });
  if (same) return false;
  selected_.clear();
  for (const Chosen& c : chosen_) selected_.push_back(c.track);
  return true;
}

}  // namespace nexus
