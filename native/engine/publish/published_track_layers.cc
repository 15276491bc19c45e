// Encodings and layers of a published track: which are live, their bitrates, the routes to slots, and the
// layer demand.
#include <algorithm>

#include "engine/publish/published_track.h"
#include "engine/publish/track_publisher.h"
#include "engine/publish/track_sink.h"
#include "engine/publish/track_subscriber.h"

namespace nexus {
namespace {

// Bitrate of everything at or below each layer; `rates` is cumulative over temporal layers already.
LayerRates CumulativeOverSpatial(const LayerRates& rates) {
  LayerRates sums = rates;
  for (size_t s = 1; s < kMaxSpatialLayers; ++s) {
    for (size_t t = 0; t < kMaxTemporalLayers; ++t) {
      if (sums[s][t] == 0) continue;
      // The lower layer may have fewer temporal layers than this one.
      size_t below = t;
      while (below > 0 && sums[s - 1][below] == 0) --below;
      sums[s][t] += sums[s - 1][below];
    }
  }
  return sums;
}

}  // namespace

// The settings list RIDs low to high; each SSRC without one is a layer ("#1" and so on), in order.
uint8_t PublishedTrack::EncodingOf(std::string_view rid) const {
  const auto found = std::find(settings_.rids.begin(), settings_.rids.end(), rid);
  const auto index =
      found != settings_.rids.end() ? static_cast<size_t>(found - settings_.rids.begin()) : layers_.size();
  return static_cast<uint8_t>(std::min(index, kMaxSpatialLayers - 1));
}

LayerRates PublishedTrack::LayerBitrates(Timestamp now) const {
  LayerRates rates{};
  for (const auto& layer : layers_) {
    if (simulcast() && !layer->live()) continue;
    const LayerRates own = layer->meter().Rates(now);
    for (size_t s = 0; s < kMaxSpatialLayers; ++s) {
      for (size_t t = 0; t < kMaxTemporalLayers; ++t)
        rates[simulcast() ? layer->encoding() : s][t] += own[s][t];
    }
  }
  // Cumulative over temporal layers; one that sends nothing stays 0.
  for (size_t s = 0; s < kMaxSpatialLayers; ++s) {
    uint64_t sum = 0;
    for (size_t t = 0; t < kMaxTemporalLayers; ++t) {
      if (rates[s][t] == 0) continue;
      sum += rates[s][t];
      rates[s][t] = sum;
    }
  }
  return simulcast() ? rates : CumulativeOverSpatial(rates);
}

PublishedLayer* PublishedTrack::EncodingFor(LayerTarget target) const {
  if (!simulcast()) return layers_.empty() ? nullptr : layers_.front().get();
  PublishedLayer* best = nullptr;
  for (const auto& layer : layers_) {
    if (!layer->live()) continue;
    // The highest that is not above the target; when all are, the lowest.
    const bool fits = layer->encoding() <= target.spatial;
    const bool best_fits = best != nullptr && best->encoding() <= target.spatial;
    const bool better = best == nullptr || (fits && (!best_fits || layer->encoding() > best->encoding())) ||
                        (!fits && !best_fits && layer->encoding() < best->encoding());
    if (better) best = layer.get();
  }
  return best;
}

// A structure, of a dependency descriptor or of VP9, lists all layers of one stream; the highest is the size
// of a simulcast encoding.
void PublishedTrack::LearnSizes(const PublishedLayer& layer, const SourcePacket& keyframe) {
  bool news = false;
  const auto learn = [&](size_t spatial, PictureSize size) {
    if (size.known()) news = sizes_.Learn(simulcast() ? layer.encoding() : spatial, size) || news;
  };
  if (kind() != MediaKind::kVideo) return;
  const FrameInfo& frame = keyframe.frame;
  const DependencyStructure* structure = layer.inspector()->structure();
  if (frame.dependency && structure != nullptr && structure->has_resolutions) {
    for (size_t s = simulcast() ? structure->max_spatial_id : 0; s <= structure->max_spatial_id; ++s) {
      const RenderResolution& resolution = structure->resolutions[s];
      learn(s, {static_cast<uint16_t>(std::min(resolution.width, 65'535u)),
                static_cast<uint16_t>(std::min(resolution.height, 65'535u))});
    }
  } else if (const auto size = KeyframeSize(keyframe.payload, frame)) {
    const auto* vp9 = std::get_if<Vp9Descriptor>(&frame.descriptor);
    learn(vp9 != nullptr ? vp9->spatial_layers - 1u : 0, *size);
  }
  if (!news) return;
  for (TrackSubscriber* subscriber : subscribers_) subscriber->OnSizesChanged();
}

void PublishedTrack::SetSizes(std::vector<PictureSize> sizes) {
  settings_.sizes = std::move(sizes);
  sizes_.Tell(settings_.sizes);
  for (TrackSink* sink : sinks_) sink->OnSizes(*this);
  for (TrackSubscriber* subscriber : subscribers_) subscriber->OnSizesChanged();
}

bool PublishedTrack::NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  if (!simulcast() || packet.payload.empty()) return false;
  bool changed = layer.NoteOwnPacket(now);
  if (packet.frame.frame_start) {
    for (const auto& other : layers_) {
      if (other.get() != &layer && other->NoteFrameElsewhere(now)) changed = true;
    }
  }
  return changed;
}

void PublishedTrack::OnEncodingsChanged(Timestamp now) {
  routes_stale_ = true;
  for (TrackSubscriber* subscriber : subscribers_) subscriber->OnEncodingsChanged(now);
}

void PublishedTrack::BuildRoutes() {
  routes_stale_ = false;
  for (auto& route : routes_) route.clear();
  for (const auto& layer : layers_) {
    for (TrackSubscriber* subscriber : subscribers_) {
      if (subscriber->Takes(*layer)) routes_[layer->encoding()].push_back(&subscriber->slot());
    }
  }
}

void PublishedTrack::AddSubscriber(TrackSubscriber& subscriber) {
  subscribers_.push_back(&subscriber);
  if (subscribers_.size() == 1) publisher_.OnInterest(*this, true);
  OnDemandChanged();
}

void PublishedTrack::RemoveSubscriber(TrackSubscriber& subscriber) {
  std::erase(subscribers_, &subscriber);
  for (auto& route : routes_) std::erase(route, &subscriber.slot());
  if (subscribers_.empty()) publisher_.OnInterest(*this, false);
  OnDemandChanged();
}

void PublishedTrack::OnDemandChanged() {
  routes_stale_ = true;
  // Evaluated with the next tick, since the caller may change several slots.
  if (kind() == MediaKind::kVideo) context_.deadlines.Set(demand_deadline_, Timestamp{});
}

void PublishedTrack::HandleTimeout(Timestamp now) {
  LayerDemand demand;
  for (const TrackSink* sink : sinks_) demand = HighestDemand(demand, sink->Demand());
  for (const TrackSubscriber* subscriber : subscribers_) demand = HighestDemand(demand, subscriber->Demand());
  if (reported_demand_.Update(demand, now) && !publisher_.OnDemand(*this, reported_demand_.reported())) {
    context_.events.Push(LayerDemandChanged{id_, reported_demand_.reported()});
  }
  context_.deadlines.Set(demand_deadline_, reported_demand_.next_deadline());
}

}  // namespace nexus
