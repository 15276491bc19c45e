#include "engine/room/track_tap.h"

#include <algorithm>

#include "engine/publish/published_track.h"

namespace nexus {
namespace {

// How long an encoding must be silent to count as stopped by its publisher.
constexpr Duration kSilentLayer = std::chrono::seconds(1);

ReorderConfig OrderConfig(const TapSettings& settings) {
  ReorderConfig config;
  config.patience = settings.patience;
  config.max_bytes = settings.reorder_bytes;
  return config;
}

}  // namespace

TrackTap::TrackTap(ShardContext& context, TapOutbox& out, PublishedTrack& track, TapId id,
                   const TapSettings& settings, Timestamp now)
    : context_(context),
      out_(out),
      track_(&track),
      id_(id),
      settings_(settings),
      order_(OrderConfig(settings)),
      encoder_(id, settings.unix_offset_us) {
  out_.Open(id, settings.backlog_bytes);
  track.AddSink(*this);
  if (!track.muted()) return;
  encoder_.AddMuted(true, now);
  Schedule(now);
}

TrackTap::~TrackTap() {
  if (track_ != nullptr) track_->RemoveSink(*this);
}

PublishedLayer* TrackTap::Current() const { return context_.layers.Find(layer_); }

void TrackTap::Ask(PublishedLayer& layer) {
  if (!layer.keyframes().pending()) track_->RequestKeyframe(layer);
}

void TrackTap::RequestKeyframe() {
  PublishedLayer* layer = Current();
  if (layer == nullptr || track_ == nullptr || track_->kind() != MediaKind::kVideo || track_->muted()) return;
  wants_keyframe_ = true;
  track_->RequestKeyframe(*layer);
}

// True when the packet is of the encoding that is followed; the packet may change which one that is.
bool TrackTap::Choose(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  if (layer.id() == layer_) return true;
  const PublishedLayer* current = Current();
  const bool better = current == nullptr || layer.encoding() > current->encoding() ||
                      now - current->last_packet() > kSilentLayer;
  if (!better) return false;
  if (track_->kind() == MediaKind::kVideo && !packet.frame.keyframe_start) {
    Ask(layer);
    return false;
  }
  SwitchTo(layer);
  return true;
}

void TrackTap::SwitchTo(PublishedLayer& layer) {
  Drain();
  order_.Restart();
  layer_ = layer.id();
  wants_keyframe_ = false;
  begins_ = true;
}

void TrackTap::OnPacket(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  if (!Choose(layer, packet, now)) return;
  const uint32_t note = NoteFor(layer);
  last_timestamp_ = packet.timestamp;
  if (wants_keyframe_ && !packet.frame.keyframe_start) Ask(layer);
  switch (order_.Insert(packet, note, now)) {
    case ReorderBuffer::Outcome::kInOrder:
      Emit(packet, note);
      break;
    case ReorderBuffer::Outcome::kHeld:
      break;
    case ReorderBuffer::Outcome::kLate:
      return;
    case ReorderBuffer::Outcome::kRestart:
      RestartAt(layer, packet, now);
      break;
  }
  EmitDue(now);
  Schedule(now);
}

// The publisher restarted under its old SSRC; the number of lost packets is unknown.
void TrackTap::RestartAt(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  Drain();
  const int64_t expected = order_.next().value_or(packet.sequence_number);
  encoder_.AddGap({GapReason::kRestart, expected, std::max(expected, packet.sequence_number - 1)});
  order_.Restart();
  begins_ = true;
  told_source_ = 0;  // encoded again, as numbers restart
  const uint32_t note = NoteFor(layer);
  order_.Insert(packet, note, now);
  if (track_->kind() == MediaKind::kVideo && !packet.frame.keyframe_start) {
    wants_keyframe_ = true;
    Ask(layer);
  }
  Emit(packet, note);
}

// The number of the source that describes packets of `layer`; a new one when codec or SSRC have changed.
uint32_t TrackTap::NoteFor(PublishedLayer& layer) {
  const CodecBinding& codec = *layer.codec();
  const Ssrc ssrc = layer.ssrc().value_or(Ssrc{});
  const bool same = !sources_.empty() && sources_.back().ssrc == ssrc &&
                    sources_.back().codec == codec.codec &&
                    sources_.back().payload_type == codec.payload_type;
  if (!same) sources_.push_back({codec.codec, codec.payload_type, codec.clock_rate, ssrc, layer.rid()});
  return first_source_ + static_cast<uint32_t>(sources_.size()) - 1;
}

void TrackTap::Emit(const SourcePacket& packet, uint32_t note) {
  if (note != told_source_) {
    while (first_source_ < note) {
      sources_.pop_front();
      ++first_source_;
    }
    encoder_.AddSource(sources_.front());
    told_source_ = note;
  }
  if (packet.payload.empty()) return;  // padding: there is nothing to record
  if (packet.frame.keyframe_start) wants_keyframe_ = false;
  const PublishedLayer* layer = Current();
  if (std::exchange(begins_, false) && packet.frame.needs_parameter_sets && layer != nullptr)
    EmitParameterSets(*layer, packet);
  encoder_.AddPacket(packet, layer != nullptr && layer->synchronised());
  if (encoder_.size() >= settings_.batch_bytes) Flush(false);
}

// Emits parameter sets under the number before that of the keyframe, at which the source begins.
void TrackTap::EmitParameterSets(const PublishedLayer& layer, const SourcePacket& keyframe) {
  const SourcePacket* sets = layer.remembered_sets().packet();
  if (sets == nullptr) return;
  SourcePacket packet = *sets;
  packet.sequence_number = keyframe.sequence_number - 1;
  packet.timestamp = keyframe.timestamp;
  packet.arrival = keyframe.arrival;
  packet.media_time = keyframe.media_time;
  packet.frame.keyframe_start = true;  // a reader begins here
  encoder_.AddPacket(packet, layer.synchronised());
}

void TrackTap::EmitDue(Timestamp now) {
  while (auto due = order_.Poll(now)) {
    if (const auto* gap = std::get_if<SequenceGap>(&*due)) {
      Tell(*gap);
    } else {
      const auto& held = std::get<HeldPacket>(*due);
      Emit(held.packet, held.note);
    }
  }
}

void TrackTap::Tell(const SequenceGap& gap) {
  encoder_.AddGap(gap);
  PublishedLayer* layer = Current();
  if (layer == nullptr || track_->kind() != MediaKind::kVideo) return;
  wants_keyframe_ = true;
  Ask(*layer);
}

void TrackTap::Drain() {
  while (auto due = order_.Drain()) {
    if (const auto* gap = std::get_if<SequenceGap>(&*due)) {
      encoder_.AddGap(*gap);
    } else {
      const auto& held = std::get<HeldPacket>(*due);
      Emit(held.packet, held.note);
    }
  }
}

void TrackTap::OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now) {
  if (layer.id() != layer_) return;
  const auto distance = static_cast<int32_t>(report.rtp_timestamp - static_cast<uint32_t>(last_timestamp_));
  encoder_.AddSenderReport(last_timestamp_ + distance, report.ntp);
  Schedule(now);
}

void TrackTap::OnMuted(bool muted, Timestamp now) {
  Drain();
  order_.Restart();
  layer_ = {};  // resumes as it began: video with a keyframe
  encoder_.AddMuted(muted, now);
  Schedule(now);
}

void TrackTap::OnTrackGone(PublishedTrack&) {
  Drain();
  Flush(true);
  track_ = nullptr;
}

void TrackTap::HandleTimeout(Timestamp now) {
  EmitDue(now);
  if (now >= flush_at_) Flush(false);
  Schedule(now);
}

void TrackTap::Flush(bool ended) {
  flush_at_ = kNever;
  if (encoder_.empty() && !ended) return;
  TapBatch batch = encoder_.Take();
  batch.ended = ended;
  out_.Push(std::move(batch));
}

void TrackTap::Schedule(Timestamp now) {
  if (!encoder_.empty() && flush_at_ == kNever) flush_at_ = now + settings_.batch_interval;
  const Timestamp at = std::min(flush_at_, order_.next_deadline());
  if (at != deadline_.at()) context_.deadlines.Set(deadline_, at);
}

}  // namespace nexus
