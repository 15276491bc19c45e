#include "engine/publish/published_track.h"

#include <algorithm>
#include <utility>

#include "engine/codec/opus/opus.h"
#include "engine/publish/track_publisher.h"
#include "engine/publish/track_sink.h"
#include "engine/publish/track_subscriber.h"

namespace nexus {
namespace {

constexpr uint8_t kLevelWithoutExtension = 40;  // -40 dBov: quiet speech
constexpr uint8_t kLevelOfSilence = 127;
// Least time between two keyframes that are requested only to show a subscriber a higher encoding.
constexpr Duration kPatienceForEachSubscriber{7'000};
constexpr Duration kMostPatience{1'000'000};

}  // namespace

PublishedTrack::PublishedTrack(ShardContext& context, TrackPublisher& publisher, TrackId id,
                               TrackSettings settings)
    : context_(context),
      publisher_(publisher),
      id_(id),
      settings_(std::move(settings)),
      owner_{publisher.id().value << 8 | (static_cast<uint32_t>(settings_.group) & 0xFF)},
      reported_demand_(context.config.layers_hold) {
  sizes_.Tell(settings_.sizes);
  // It has no subscriber yet.
  if (kind() == MediaKind::kVideo) context_.deadlines.Set(demand_deadline_, Timestamp{});
}

PublishedTrack::~PublishedTrack() {
  // Each subscriber removes itself from `subscribers_`.
  const std::vector<TrackSubscriber*> watching = subscribers_;
  for (TrackSubscriber* subscriber : watching) subscriber->OnTrackGone(*this);
  for (TrackSink* sink : std::exchange(sinks_, {})) sink->OnTrackGone(*this);
}

PublishedLayer* PublishedTrack::LayerFor(std::string_view rid) {
  for (const auto& layer : layers_) {
    if (layer->rid() == rid) return layer.get();
  }
  if (layers_.size() >= context_.config.max_layers_per_track) return nullptr;
  routes_stale_ = true;
  layers_.push_back(MakeLayer(rid, EncodingOf(rid)));
  return layers_.back().get();
}

PublishedLayer& PublishedTrack::LayerAt(std::string_view rid, uint8_t encoding) {
  const auto place = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const auto& layer) { return layer->encoding() > encoding; });
  routes_stale_ = true;
  return **layers_.insert(place, MakeLayer(rid, encoding));
}

std::unique_ptr<PublishedLayer> PublishedTrack::MakeLayer(std::string_view rid, uint8_t encoding) {
  return std::make_unique<PublishedLayer>(context_, *this, std::string(rid), encoding, nack_patience());
}

PublishedLayer* PublishedTrack::ReplaceLayer(PublishedLayer& layer) {
  for (auto& owned : layers_) {
    if (owned.get() != &layer) continue;
    routes_stale_ = true;
    owned = MakeLayer(layer.rid(), layer.encoding());
    return owned.get();
  }
  return nullptr;
}

void PublishedTrack::AddSink(TrackSink& sink) {
  sinks_.push_back(&sink);
  OnDemandChanged();
  SpreadNackPatience();
}

void PublishedTrack::RemoveSink(TrackSink& sink) {
  std::erase(sinks_, &sink);
  OnDemandChanged();
  SpreadNackPatience();
}

Duration PublishedTrack::nack_patience() const {
  Duration patience{0};
  for (const TrackSink* sink : sinks_) patience = std::max(patience, sink->nack_patience());
  return patience;
}

void PublishedTrack::SpreadNackPatience() {
  const Duration patience = nack_patience();
  for (const auto& layer : layers_) layer->nacks().set_patience(patience);
}

double PublishedTrack::level_dbov(Timestamp now) const {
  return relayed_level_ ? relayed_level_->level_dbov : level_.level_dbov(now);
}

bool PublishedTrack::silent(Timestamp now) const {
  return relayed_level_ ? relayed_level_->silent : level_.silent(now);
}

const std::optional<Timestamp>& PublishedTrack::spoke_at() const {
  return relayed_level_ ? relayed_level_->spoke_at : level_.spoke_at();
}

const SourcePacket* PublishedTrack::Receive(PublishedLayer& layer, const PublishedLayer::Arrival& arrival,
                                            RemoteClockOffset& remote, DropReason& reason) {
  const SourcePacket* stored = layer.Receive(arrival, remote, reason);
  if (stored != nullptr && stored->frame.keyframe_start) LearnSizes(layer, *stored);
  return stored;
}

const SourcePacket* PublishedTrack::ReceiveRelayed(PublishedLayer& layer, const SourcePacket& packet,
                                                   const CodecBinding& codec, Timestamp now,
                                                   DropReason& reason) {
  const SourcePacket* stored = layer.ReceiveRelayed(packet, codec, now, reason);
  if (stored != nullptr && stored->frame.keyframe_start) LearnSizes(layer, *stored);
  return stored;
}

void PublishedTrack::OnSenderReport(PublishedLayer& layer, const SenderReport& report, Timestamp now) {
  if (!layer.OnSenderReport(report, now)) return;
  for (TrackSink* sink : sinks_) sink->OnSenderReport(layer, report, now);
}

void PublishedTrack::RequestKeyframe(PublishedLayer& layer) {
  layer.keyframes().Request();
  WakePublisher();
}

void PublishedTrack::RequestBetterKeyframe(PublishedLayer& layer) {
  const auto viewers = static_cast<Duration::rep>(subscribers_.size());
  layer.keyframes().RequestForBetter(
      std::min(kMostPatience, context_.config.keyframe_interval + viewers * kPatienceForEachSubscriber));
  WakePublisher();
}

void PublishedTrack::ToSinks(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  for (TrackSink* sink : sinks_) sink->OnPacket(layer, packet, now);
}

void PublishedTrack::SetMuted(bool muted, Timestamp now) {
  if (settings_.muted == muted) return;
  settings_.muted = muted;
  level_.Reset();
  for (TrackSubscriber* subscriber : subscribers_) subscriber->OnTrackPaused(*this);
  for (TrackSink* sink : sinks_) sink->OnMuted(muted, now);
  if (kind() != MediaKind::kVideo) return;
  for (const auto& layer : layers_) {
    layer->nacks().Clear();
    layer->keyframe_cache().Forget();  // no frame from before is shown
    if (muted) {
      layer->keyframes().Cancel();
    } else if (!subscribers_.empty() || !sinks_.empty()) {
      RequestKeyframe(*layer);
    }
  }
}

void PublishedTrack::NoteAudioLevel(const SourcePacket& packet, Timestamp now) {
  if (packet.audio_level) {
    tells_level_ = true;
    return level_.OnLevel(packet.audio_level->level, now);
  }
  // A publisher that never sends levels must be heard too, negotiated or not. One that does sometimes omits
  // them.
  if (tells_level_ || packet.payload.empty()) return;
  const bool speaks = OpusVoiceActivity(packet.payload).value_or(!packet.frame.dtx);
  level_.OnLevel(speaks ? kLevelWithoutExtension : kLevelOfSilence, now);
}

TrackStats PublishedTrack::Stats(Timestamp now) const {
  TrackStats report;
  report.layer_bitrates = LayerBitrates(now);
  report.track = id_;
  for (const auto& layer : layers_) {
    report.red_recovered += layer->red_recovered();
    report.nacks_sent += layer->nacks().counters().requested;
    report.plis_sent += layer->keyframes().sent();
    report.keyframes += layer->keyframe_count();
    report.keyframe_replays += layer->keyframe_replays();
    const ReceiverStats* stats = layer->stats();
    if (stats == nullptr) continue;
    report.packets += stats->packets();
    report.bytes += stats->bytes();
    report.packets_lost += stats->cumulative_lost();
    report.jitter_ms = std::max(report.jitter_ms, stats->jitter_ms());
  }
  return report;
}

void PublishedTrack::WakePublisher() { publisher_.Schedule(); }

}  // namespace nexus
