// Audio selection of a room that is spread over shards: each shard sends the levels of its own tracks to the
// others, and the home selects for all.
#include <algorithm>

#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {

std::vector<uint16_t> Room::SetShards(const std::vector<uint16_t>& shards, uint16_t own) {
  std::vector<uint16_t> fresh;
  for (const uint16_t shard : shards) {
    if (shard == own || std::find(peers_.begin(), peers_.end(), shard) != peers_.end()) continue;
    peers_.push_back(shard);
    fresh.push_back(shard);
  }
  home_ = shards.empty() ? own : shards.front();
  is_home_ = home_ == own;
  if (!fresh.empty()) reported_levels_.clear();  // the new shards have received none
  return fresh;
}

bool Room::IsHeard(TrackId track) const {
  return std::find(chosen_.begin(), chosen_.end(), track) != chosen_.end();
}

bool Room::RelayedSpeaks(ParticipantNumber owner, Timestamp now) const {
  return std::any_of(relayed_.begin(), relayed_.end(), [&](const PublishedTrack* track) {
    return track->kind() == MediaKind::kAudio && track->owner() == owner && !track->muted() &&
           !track->silent(now);
  });
}

void Room::OnChoice(uint16_t from, const std::vector<TrackId>& heard, Timestamp now) {
  if (is_home_ || from != home_) return;
  chosen_ = heard;
  HandleTimeout(now);
}

void Room::TellChoice() const {
  if (!is_home_) return;
  for (const uint16_t shard : peers_) context_.relay.Send(shard, RelayChoice{id_, chosen_});
}

// Sends levels that have changed. The candidates so far are this shard's own.
void Room::TellLevels(Timestamp now) {
  if (peers_.empty()) return;
  RelayLevels levels{id_, {}};
  std::vector<RelayLevel> reported;
  for (const AudioCandidate& candidate : candidates_) {
    RelayLevel level{candidate.track, candidate.level_dbov, candidate.silent, {}};
    if (candidate.spoke_at) {
      level.spoke_ago = std::chrono::duration_cast<std::chrono::milliseconds>(now - *candidate.spoke_at);
    }
    reported.push_back(level);
    const auto before = std::find_if(reported_levels_.begin(), reported_levels_.end(),
                                     [&](const RelayLevel& other) { return other.track == level.track; });
    const bool same = before != reported_levels_.end() && before->silent && level.silent;
    if (!same) levels.levels.push_back(level);
  }
  reported_levels_ = std::move(reported);
  if (levels.levels.empty()) return;
  for (const uint16_t shard : peers_) context_.relay.Send(shard, levels);
}

}  // namespace nexus
