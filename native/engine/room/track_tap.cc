#include "engine/room/track_tap.h"

#include <algorithm>

#include "engine/publish/published_track.h"
#include "engine/publish/screen_share.h"

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
  if (settings.demand.keyframe_interval > Duration{0})
    keyframe_due_ = now + settings.demand.keyframe_interval;
  if (track.muted()) encoder_.AddMuted(true, now);
  Schedule(now);
}

TrackTap::~TrackTap() {
  if (track_ != nullptr) track_->RemoveSink(*this);
}

PublishedLayer* TrackTap::Current() const { return context_.layers.Find(layer_); }

size_t TrackTap::Wanted() const {
  const TapDemand& demand = settings_.demand;
  if (track_ == nullptr || !track_->simulcast()) return kMaxSpatialLayers - 1;
  if (demand.max_width == 0 || demand.max_height == 0) return kMaxSpatialLayers - 1;
  // The shorter side counts, for portrait video too.
  const auto lines = static_cast<double>(std::min(demand.max_width, demand.max_height));
  const size_t encodings = std::max(track_->settings().rids.size(), track_->settings().ssrcs.size());
  const uint32_t largest = AssumedHeight(track_->settings());
  return track_->sizes().LowestWith(lines, encodings, largest).value_or(kMaxSpatialLayers - 1);
}

LayerDemand TrackTap::Demand() const {
  LayerTarget highest = kHighestLayer;
  highest.spatial = static_cast<uint8_t>(Wanted());
  return highest;
}

void TrackTap::OnSizes(const PublishedTrack&) {
  if (track_ != nullptr) track_->OnDemandChanged();
}

void TrackTap::Update(const TapDemand& demand, Timestamp now) {
  settings_.demand = demand;
  keyframe_due_ = demand.keyframe_interval > Duration{0} ? now + demand.keyframe_interval : kNever;
  if (track_ != nullptr) track_->OnDemandChanged();
  Schedule(now);
}

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
  const bool better =
      current == nullptr || IsBetter(layer, *current) || now - current->last_packet() > kSilentLayer;
  if (!better) return false;
  if (track_->kind() == MediaKind::kVideo && !packet.frame.keyframe_start) {
    Ask(layer);
    return false;
  }
  SwitchTo(layer);
  return true;
}

// An encoding that is large enough precedes a larger one, and both precede a smaller one.
bool TrackTap::IsBetter(const PublishedLayer& layer, const PublishedLayer& current) const {
  const size_t wanted = Wanted();
  if (layer.encoding() > current.encoding()) return current.encoding() < wanted;
  return layer.encoding() >= wanted;
}

void TrackTap::SwitchTo(PublishedLayer& layer) {
  Drain();
  order_.Restart();
  layer_ = layer.id();
  wants_keyframe_ = false;
  begins_ = true;
  clock_.Restart();
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
  clock_.Restart();
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
  if (!same) {
    sources_.push_back({codec.codec, codec.payload_type, codec.clock_rate, ssrc, layer.rid(),
                        track_->settings().scalability_mode});
  }
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
  if (packet.frame.keyframe_start) {
    wants_keyframe_ = false;
    const Duration interval = settings_.demand.keyframe_interval;
    if (interval > Duration{0}) keyframe_due_ = packet.arrival + interval;
  }
  const PublishedLayer* layer = Current();
  const bool synchronised = layer != nullptr && layer->synchronised();
  SourcePacket timed = packet;
  timed.media_time =
      clock_.OnPacket(packet.timestamp, sources_.front().clock_rate, packet.media_time, synchronised);
  if (std::exchange(begins_, false) && packet.frame.needs_parameter_sets && layer != nullptr)
    EmitParameterSets(*layer, timed);
  encoder_.AddPacket(timed, synchronised);
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
  clock_.Restart();
  PublishedLayer* layer = Current();
  if (layer == nullptr || track_->kind() != MediaKind::kVideo) return;
  wants_keyframe_ = true;
  Ask(*layer);
}

void TrackTap::Drain() {
  while (auto due = order_.Drain()) {
    if (const auto* gap = std::get_if<SequenceGap>(&*due)) {
      encoder_.AddGap(*gap);
      clock_.Restart();
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
  clock_.Restart();
  encoder_.AddMuted(muted, now);
  Schedule(now);
}

void TrackTap::OnTrackGone(PublishedTrack&) {
  Drain();
  Flush(true);
  track_ = nullptr;
}

// The interval has passed since the last keyframe. The request is joined with those of others.
void TrackTap::RequestDueKeyframe(Timestamp now) {
  if (now < keyframe_due_) return;
  keyframe_due_ = now + settings_.demand.keyframe_interval;
  RequestKeyframe();
}

void TrackTap::HandleTimeout(Timestamp now) {
  EmitDue(now);
  RequestDueKeyframe(now);
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
  const Timestamp at = std::min({flush_at_, order_.next_deadline(), keyframe_due_});
  if (at != deadline_.at()) context_.deadlines.Set(deadline_, at);
}

}  // namespace nexus
