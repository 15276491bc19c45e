// Who is in a room, and what is heard in it: the loudest few are chosen once for the room, then placed into
// each subscriber's audio slots.
#pragma once

#include <vector>

#include "engine/audio/loudest_selector.h"
#include "engine/audio/slot_placement.h"
#include "engine/room/shard_context.h"

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

  // The track is gone; nobody's wishes about it need to be kept.
  void ForgetTrack(TrackId track);
  // Audio tracks came, went or were muted: the choice is made anew, and goes on at intervals while there are
  // any.
  void OnAudioTracksChanged(Timestamp now);
  void HandleTimeout(Timestamp now);

 private:
  struct Heard {
    TrackId id;  // compared too: another track may get the address of one that is gone
    PublishedTrack* track = nullptr;
    bool silent = true;
    friend bool operator==(const Heard&, const Heard&) = default;
  };
  bool Choose(Timestamp now);
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
  uint64_t choice_ = 1;
  Timestamp next_speakers_;
  Deadline deadline_;
};

}  // namespace nexus
