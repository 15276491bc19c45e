#include "engine/room/relay_sink.h"

#include <algorithm>

#include "engine/publish/published_track.h"
#include "engine/publish/track_publisher.h"
#include "engine/room/room.h"

namespace nexus {

RelaySink::RelaySink(ShardContext& context, const Room& room, PublishedTrack& track, uint16_t to)
    : context_(context), room_(room), track_(&track), to_(to) {
  track.AddSink(*this);
  RelayTrackAdded added;
  added.room = room.id();
  added.track = track.id();
  added.publisher = track.publisher().id();
  added.video = track.kind() == MediaKind::kVideo;
  added.muted = track.muted();
  added.group = static_cast<uint8_t>(track.settings().group);
  added.number = track.settings().number;
  added.rids = track.settings().rids;
  added.sizes = track.settings().sizes;
  added.encodings = static_cast<uint8_t>(std::max(track.settings().ssrcs.size(), added.rids.size()));
  context_.relay.Send(to_, added);
}

RelaySink::~RelaySink() {
  if (track_ != nullptr) track_->RemoveSink(*this);
}

void RelaySink::TellSource(const PublishedLayer& layer) {
  std::optional<RelaySource>& sent = sent_sources_[layer.encoding()];
  const CodecBinding& codec = *layer.codec();
  if (sent && sent->life == layer.id().value && sent->codec == codec.codec &&
      sent->payload_type == codec.payload_type) {
    return;
  }
  RelaySource source;
  source.track = track_->id();
  source.encoding = layer.encoding();
  source.life = layer.id().value;
  source.codec = codec.codec;
  source.payload_type = codec.payload_type;
  source.clock_rate = codec.clock_rate;
  source.h264_profile_level_id = codec.h264_profile_level_id;
  source.h264_packetization_mode = static_cast<uint8_t>(codec.h264_packetization_mode);
  source.vp9_profile = static_cast<uint8_t>(codec.vp9_profile);
  source.rid = layer.rid();
  context_.relay.Send(to_, source);
  sent = std::move(source);
}

void RelaySink::OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp) {
  if (layer.encoding() >= kMaxRelayedEncodings) return;
  const bool video = track_->kind() == MediaKind::kVideo;
  if (video ? !demand_ || (track_->simulcast() && layer.encoding() > demand_->spatial)
            : !room_.IsHeard(track_->id()))
    return;
  TellSource(layer);
  if (packet.frame.needs_parameter_sets) SendPacket(layer, *layer.remembered_sets().packet());
  SendPacket(layer, packet);
}

void RelaySink::SendPacket(const PublishedLayer& layer, const SourcePacket& packet) {
  RelayPacket relayed;
  relayed.track = track_->id();
  relayed.encoding = layer.encoding();
  relayed.sequence_number = packet.sequence_number;
  relayed.timestamp = packet.timestamp;
  relayed.media_time = packet.media_time;
  relayed.marker = packet.marker;
  relayed.redundant = packet.redundant;
  relayed.audio_level = packet.audio_level;
  relayed.video_orientation = packet.video_orientation;
  relayed.payload = packet.payload;
  relayed.dependency_descriptor = packet.dependency_descriptor;
  if (!context_.relay.SendBulk(to_, relayed)) context_.drops.Count(DropReason::kRelayCongested);
}

void RelaySink::OnInterest(const RelayInterest& interest) {
  if (track_ == nullptr) return;
  demand_.reset();
  if (interest.wanted) demand_ = LayerTarget{interest.spatial, interest.temporal};
  track_->OnDemandChanged();
}

void RelaySink::OnMuted(bool muted, Timestamp) {
  context_.relay.Send(to_, RelayTrackMuted{track_->id(), muted});
}

void RelaySink::OnSizes(const PublishedTrack& track) {
  context_.relay.Send(to_, RelayTrackSizes{track.id(), track.settings().sizes});
}

void RelaySink::OnTrackGone(PublishedTrack& track) {
  context_.relay.Send(to_, RelayTrackGone{track.id()});
  track_ = nullptr;
}

void RelaySink::OnKeyframeRequest(uint8_t encoding) {
  if (track_ == nullptr || track_->muted()) return;
  for (const auto& layer : track_->layers()) {
    if (layer->encoding() == encoding) track_->RequestKeyframe(*layer);
  }
}

}  // namespace nexus
