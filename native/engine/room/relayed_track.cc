#include "engine/room/relayed_track.h"

#include <algorithm>

#include "engine/room/room.h"
#include "engine/subscribe/fan_out.h"

namespace nexus {
namespace {

TrackSettings SettingsFrom(const RelayTrackAdded& added) {
  TrackSettings settings;
  settings.kind = added.video ? MediaKind::kVideo : MediaKind::kAudio;
  settings.number = added.number;
  settings.rids = added.rids;
  settings.sizes = added.sizes;
  // Only their number matters; packets are found by their encoding.
  settings.ssrcs.resize(std::min<size_t>(added.encodings, kMaxRelayedEncodings));
  settings.group = added.group;
  settings.muted = added.muted;
  return settings;
}

}  // namespace

RelayedTrack::RelayedTrack(ShardContext& context, FanOut& fan_out, const Room& room, uint16_t shard,
                           const RelayTrackAdded& added)
    : context_(context),
      fan_out_(fan_out),
      room_(room),
      shard_(shard),
      publisher_(added.publisher),
      track_(std::make_unique<PublishedTrack>(context, *this, added.track, SettingsFrom(added))) {
  track_->Start();  // its own shard reports when it does
}

RelayedTrack::~RelayedTrack() = default;

RoomId RelayedTrack::room() const { return room_.id(); }

void RelayedTrack::OnSource(const RelaySource& source) {
  Encoding& encoding = encodings_[source.encoding];
  if (encoding.layer == nullptr) {
    encoding.layer = &track_->LayerAt(source.rid, source.encoding);
  } else if (encoding.life != source.life) {
    encoding.layer = track_->ReplaceLayer(*encoding.layer);
    encoding.newest.reset();
  }
  encoding.life = source.life;
  encoding.layer->set_ssrc(Ssrc{source.life});  // not sent to a peer; statistics need one
  encoding.codec.codec = source.codec;
  encoding.codec.payload_type = source.payload_type;
  encoding.codec.clock_rate = source.clock_rate;
  encoding.codec.h264_profile_level_id = source.h264_profile_level_id;
  encoding.codec.h264_packetization_mode = source.h264_packetization_mode;
  encoding.codec.vp9_profile = source.vp9_profile;
}

void RelayedTrack::OnPacket(const RelayPacket& relayed, Timestamp now) {
  if (relayed.encoding >= encodings_.size() || encodings_[relayed.encoding].layer == nullptr) return;
  Encoding& encoding = encodings_[relayed.encoding];
  if (track_->muted() || IsVideo(encoding.codec.codec) != (track_->kind() == MediaKind::kVideo)) return;
  if (RememberedSets::IsNumber(relayed.sequence_number))
    return encoding.layer->LearnRelayedSets(relayed.payload, encoding.codec);
  SourcePacket packet;
  packet.sequence_number = relayed.sequence_number;
  packet.timestamp = relayed.timestamp;
  packet.arrival = now;
  packet.media_time = relayed.media_time;
  packet.marker = relayed.marker;
  packet.redundant = relayed.redundant;
  packet.audio_level = relayed.audio_level;
  packet.video_orientation = relayed.video_orientation;
  packet.payload = relayed.payload;
  packet.dependency_descriptor = relayed.dependency_descriptor;
  DropReason reason = DropReason::kCount;
  const SourcePacket* stored = track_->ReceiveRelayed(*encoding.layer, packet, encoding.codec, now, reason);
  if (stored == nullptr) return context_.drops.Count(reason);
  // A repaired packet comes late and does not prove that the encoding is live.
  const bool newest = !encoding.newest || packet.sequence_number > *encoding.newest;
  if (newest) {
    encoding.newest = packet.sequence_number;
    fan_out_.NoteArrival(*encoding.layer, *stored, now);
  }
  fan_out_.Deliver(*encoding.layer, *stored, now);
}

// Keyframe requests of all slots here are coalesced, as they are for a publisher of this shard.
void RelayedTrack::Schedule() {
  Timestamp next = kNever;
  for (const auto& layer : track_->layers()) next = std::min(next, layer->keyframes().next_deadline());
  if (next != deadline_.at()) context_.deadlines.Set(deadline_, next);
}

void RelayedTrack::HandleTimeout(Timestamp now) {
  for (const Encoding& encoding : encodings_) {
    if (encoding.layer == nullptr || !encoding.layer->keyframes().Poll(now)) continue;
    context_.relay.Send(shard_, RelayKeyframeRequest{track_->id(), encoding.layer->encoding()});
  }
  Schedule();
}

void RelayedTrack::OnInterest(PublishedTrack& track, bool wanted) {
  if (track.kind() == MediaKind::kVideo) context_.relay.Send(shard_, RelayInterest{track.id(), wanted});
}

bool RelayedTrack::OnDemand(PublishedTrack& track, const LayerDemand& demand) {
  RelayInterest interest{track.id(), demand.has_value()};
  if (demand) {
    interest.spatial = demand->spatial;
    interest.temporal = demand->temporal;
  }
  context_.relay.Send(shard_, interest);
  return true;
}

bool RelayedTrack::Speaks(ParticipantNumber owner, Timestamp now) const {
  return room_.RelayedSpeaks(owner, now);
}

}  // namespace nexus
