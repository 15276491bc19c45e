// Relays: messages to and from the other shards of a room.
#include <algorithm>

#include "engine/base/overloaded.h"
#include "engine/shard/shard.h"

namespace nexus {

void Shard::Handle(const SpreadRoom& command, Timestamp now) {
  const auto found = rooms_.find(command.room);
  if (found == rooms_.end()) return Reject("spread_room", command.room.value, "unknown_room");
  Room& room = *found->second;
  const std::vector<uint16_t> fresh = room.SetShards(command.shards, config_.index);
  data_.SetShards(room.id(), room.peers());
  for (const Transport* transport : room.transports()) {
    for (const auto& track : transport->tracks()) {
      for (const uint16_t shard : fresh) Announce(*track, shard);
    }
  }
  room.TellChoice();
  room.OnAudioTracksChanged(now);
}

void Shard::Announce(PublishedTrack& track, uint16_t shard) {
  relay_sinks_[track.id()].push_back(
      std::make_unique<RelaySink>(context_, RoomOf(track.publisher()), track, shard));
}

void Shard::AnnounceToPeers(PublishedTrack& track) {
  for (const uint16_t shard : RoomOf(track.publisher()).peers()) Announce(track, shard);
}

void Shard::SweepRelays() {
  // All sinks of a track go together with it.
  std::erase_if(relay_sinks_, [](const auto& entry) { return entry.second.front()->gone(); });
}

RelaySink* Shard::FindSink(TrackId track, uint16_t shard) {
  const auto found = relay_sinks_.find(track);
  if (found == relay_sinks_.end()) return nullptr;
  for (const auto& sink : found->second) {
    if (sink->to() == shard) return sink.get();
  }
  return nullptr;
}

// A message about a track or room that is gone is no error.
void Shard::HandleRelay(uint16_t from, ByteView batch, Timestamp now) {
  RelayReader reader(batch);
  while (auto message = reader.Next()) {
    std::visit(Overloaded{
                   [&](const RelayTrackAdded& added) { AddRelayed(from, added, now); },
                   [&](const RelayTrackGone& gone) {
                     if (FindRelayed(gone.track, from) != nullptr) RemoveRelayed(gone.track, now);
                   },
                   [&](const RelayTrackMuted& muted) {
                     RelayedTrack* relayed = FindRelayed(muted.track, from);
                     if (relayed == nullptr) return;
                     relayed->track().SetMuted(muted.muted, now);
                     RoomOf(*relayed).OnAudioTracksChanged(now);
                   },
                   [&](const RelayTrackSizes& sizes) {
                     if (RelayedTrack* relayed = FindRelayed(sizes.track, from))
                       relayed->track().SetSizes(sizes.sizes);
                   },
                   [&](const RelaySource& source) {
                     if (RelayedTrack* relayed = FindRelayed(source.track, from)) relayed->OnSource(source);
                   },
                   [&](const RelayPacket& packet) {
                     if (RelayedTrack* relayed = FindRelayed(packet.track, from))
                       relayed->OnPacket(packet, now);
                   },
                   [&](const RelayLevels& levels) {
                     for (const RelayLevel& level : levels.levels) {
                       RelayedTrack* relayed = FindRelayed(level.track, from);
                       if (relayed == nullptr) continue;
                       std::optional<Timestamp> spoke_at;
                       if (level.spoke_ago) spoke_at = now - *level.spoke_ago;
                       relayed->track().SetRelayedLevel({level.level_dbov, level.silent, spoke_at});
                     }
                   },
                   [&](const RelayChoice& choice) {
                     const auto room = rooms_.find(choice.room);
                     if (room != rooms_.end()) room->second->OnChoice(from, choice.heard, now);
                   },
                   [&](const RelayInterest& interest) {
                     if (RelaySink* sink = FindSink(interest.track, from)) sink->OnInterest(interest);
                   },
                   [&](const RelayData& data) { data_.FromShard(data, now); },
                   [&](const RelayKeyframeRequest& request) {
                     if (RelaySink* sink = FindSink(request.track, from))
                       sink->OnKeyframeRequest(request.encoding);
                   },
               },
               *message);
  }
  if (reader.malformed()) drops_.Count(DropReason::kRelayMalformed);
}

RelayedTrack* Shard::FindRelayed(TrackId track, uint16_t shard) {
  const auto found = relayed_.find(track);
  // A shard may send only about its own tracks.
  return found != relayed_.end() && found->second->shard() == shard ? found->second.get() : nullptr;
}

void Shard::AddRelayed(uint16_t from, const RelayTrackAdded& added, Timestamp now) {
  const auto room = rooms_.find(added.room);
  if (room == rooms_.end() || tracks_.contains(added.track) ||
      relayed_.size() >= config_.max_relayed_tracks) {
    return drops_.Count(DropReason::kRelayRefused);
  }
  auto relayed = std::make_unique<RelayedTrack>(context_, fan_out_, *room->second, from, added);
  PublishedTrack& track = relayed->track();
  tracks_[added.track] = &track;
  relayed_[added.track] = std::move(relayed);
  room->second->AddRelayed(track);
  for (auto bind = waiting_binds_.begin(); bind != waiting_binds_.end();) {
    const auto slot = slots_.find(bind->first);
    const bool due = bind->second == added.track;
    if (due && slot != slots_.end()) slot->second.slot->Bind(track, now);
    bind = due ? waiting_binds_.erase(bind) : std::next(bind);
  }
  if (track.kind() == MediaKind::kAudio) room->second->OnAudioTracksChanged(now);
}

void Shard::RemoveRelayed(TrackId id, Timestamp now) {
  const auto found = relayed_.find(id);
  if (found == relayed_.end()) return;
  Room& room = RoomOf(*found->second);
  room.RemoveRelayed(found->second->track());
  room.ForgetTrack(id);
  tracks_.erase(id);
  relayed_.erase(found);
  room.OnAudioTracksChanged(now);
}

void Shard::RemoveRelayedOf(const Room& room, Timestamp now) {
  std::vector<TrackId> tracks;
  for (const auto& [id, relayed] : relayed_) {
    if (relayed->room() == room.id()) tracks.push_back(id);
  }
  for (const TrackId id : tracks) RemoveRelayed(id, now);
}

}  // namespace nexus
