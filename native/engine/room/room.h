// A room: its transports, and the audio that is heard in it. The loudest few tracks are selected once for the
// room, then placed into each subscriber's audio slots.
#pragma once

#include <vector>

#include "engine/audio/loudest_selector.h"
#include "engine/audio/slot_placement.h"
#include "engine/control/shard_context.h"
#include "engine/relay/relay_message.h"

namespace nexus {

class PublishedTrack;
class Transport;

class Room {
 public:
  Room(ShardContext& context, RoomId id, Timestamp now);
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  RoomId id() const { return id_; }
  void Add(Transport& transport) { transports_.push_back(&transport); }
  void Remove(Transport& transport);
  const std::vector<Transport*>& transports() const { return transports_; }

  // A room may be spread over shards; the first is its home, which selects the audio. Returns the new ones.
  std::vector<uint16_t> SetShards(const std::vector<uint16_t>& shards, uint16_t own);
  const std::vector<uint16_t>& peers() const { return peers_; }
  void AddRelayed(PublishedTrack& track) { relayed_.push_back(&track); }
  void RemoveRelayed(PublishedTrack& track) { std::erase(relayed_, &track); }
  bool RelayedSpeaks(ParticipantNumber owner, Timestamp now) const;
  void OnChoice(uint16_t from, const std::vector<TrackId>& heard, Timestamp now);
  // Sends the selection to the other shards, if this is the home.
  void TellChoice() const;
  bool IsHeard(TrackId track) const;

  // The track is gone; no participant's subscription to it needs to be kept.
  void ForgetTrack(TrackId track);
  // Audio tracks were added, removed or muted: the selection is updated now, and at intervals while there are
  // any.
  void OnAudioTracksChanged(Timestamp now);
  void HandleTimeout(Timestamp now);

 private:
  struct Heard {
    TrackId id;  // compared too, as a new track may get the address of an old one
    PublishedTrack* track = nullptr;
    bool silent = true;
    friend bool operator==(const Heard&, const Heard&) = default;
  };
  bool Choose(Timestamp now);
  void Consider(PublishedTrack& track, Timestamp now);
  void TellLevels(Timestamp now);
  void Place(Transport& subscriber, Timestamp now);
  void TellSpeakers(Timestamp now);
  PublishedTrack* FindHeard(TrackId id) const;

  ShardContext& context_;
  RoomId id_;
  std::vector<Transport*> transports_;
  LoudestSelector selector_;
  std::vector<PublishedTrack*> audio_tracks_;  // live and not muted; scratch of one tick
  std::vector<AudioCandidate> candidates_;     // scratch
  std::vector<Heard> heard_;
  std::vector<Heard> heard_before_;
  std::vector<AudioSlotState> slot_states_;  // scratch
  std::vector<SelectedAudio> selected_;      // scratch
  std::vector<std::pair<TrackId, double>> speakers_;
  std::vector<PublishedTrack*> relayed_;
  std::vector<uint16_t> peers_;
  uint16_t home_ = 0;
  bool is_home_ = true;
  std::vector<TrackId> chosen_;
  std::vector<RelayLevel> reported_levels_;
  uint64_t choice_ = 1;
  Timestamp next_speakers_;
  Deadline deadline_{this};
};

}  // namespace nexus
