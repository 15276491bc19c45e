#include "engine/audio/loudest_selector.h"

#include <algorithm>

namespace nexus {
namespace {

const AudioCandidate* FindCandidate(std::span<const AudioCandidate> candidates, TrackId track) {
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const AudioCandidate& c) { return c.track == track; });
  return found == candidates.end() ? nullptr : &*found;
}

}  // namespace

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
  // The quietest of those that may go: silent, and held long enough.
  auto quietest = chosen_.end();
  double quietest_level = 0;
  for (auto it = chosen_.begin(); it != chosen_.end(); ++it) {
    const AudioCandidate* state = FindCandidate(candidates, it->track);
    if (!state->silent || now - it->since < config_.min_hold) continue;
    if (quietest == chosen_.end() || state->level_dbov < quietest_level) {
      quietest = it;
      quietest_level = state->level_dbov;
    }
  }
  if (quietest == chosen_.end() || newcomer.level_dbov < quietest_level + config_.hysteresis_db) return false;
  chosen_.erase(quietest);
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
    if (IsChosen(candidate.track)) continue;
    // The silent only fill what is free, so that their first word is heard.
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
