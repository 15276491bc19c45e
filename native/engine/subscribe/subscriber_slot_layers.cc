// Selection of the encoding and layers that a slot sends: by its target, among those that are live. A switch
// takes place at a keyframe of the new encoding.
#include <algorithm>

#include "engine/subscribe/subscriber_slot.h"

namespace nexus {
namespace {

// Maximum age of a keyframe, behind what the slot shows of the same track, from which a switch may start.
constexpr Duration kMaxStepBack{100'000};

}  // namespace

PublishedLayer* SubscriberSlot::Bound() const {
  return forwarder_.source() ? context_.layers.Find(forwarder_.source()->layer) : nullptr;
}

PublishedLayer* SubscriberSlot::WantedEncoding() const {
  if (wanted_ == nullptr || !target_) return nullptr;
  return wanted_->EncodingFor(*target_);
}

std::optional<LayerTarget> SubscriberSlot::CurrentLayer() const {
  const PublishedLayer* bound = Bound();
  if (bound == nullptr || settings_.kind != MediaKind::kVideo) return std::nullopt;
  LayerTarget layer = forwarder_.layer();
  if (bound->track().simulcast()) layer.spatial = bound->encoding();
  return layer;
}

bool SubscriberSlot::Takes(const PublishedLayer& layer) const {
  if (!target_) return false;
  const bool bound = forwarder_.source() && forwarder_.source()->layer == layer.id();
  return bound || WantedEncoding() == &layer;
}

void SubscriberSlot::SetTarget(std::optional<LayerTarget> target, Timestamp now) {
  if (target_ == target) return;
  target_ = target;
  // A pause ends the binding; the slot resumes with a keyframe and without a gap.
  if (!target_) {
    forwarder_.Unbind();
    subscriber_.sender.DropWaiting(settings_.ssrc);
  }
  OnChoiceChanged(now);
}

void SubscriberSlot::LetGo(Timestamp now) {
  const PublishedLayer* bound = Bound();
  if (bound == nullptr || !bound->track().simulcast()) return;
  if (target_ && bound->encoding() <= target_->spatial) return;
  const PublishedLayer* wanted = WantedEncoding();
  if (wanted == nullptr || wanted == bound) return;
  ++layer_switches_;
  forwarder_.Unbind();
  subscriber_.sender.DropWaiting(settings_.ssrc);
  OnChoiceChanged(now);
}

void SubscriberSlot::SetDemand(std::optional<LayerTarget> demand) {
  if (demand_ == demand) return;
  demand_ = demand;
  OnDemandChanged();
}

std::optional<LayerTarget> SubscriberSlot::Demand() const {
  if (!demand_ || !view_.visible) return std::nullopt;
  if (!view_.max) return demand_;
  return LayerTarget{std::min(demand_->spatial, view_.max->spatial),
                     std::min(demand_->temporal, view_.max->temporal)};
}

void SubscriberSlot::SetView(const SlotView& view) {
  view_ = view;
  subscriber_.schedule.AllocateSoon();
  OnDemandChanged();
}

void SubscriberSlot::OnDemandChanged() {
  if (wanted_ != nullptr) wanted_->OnDemandChanged();
}

void SubscriberSlot::OnEncodingsChanged(Timestamp now) {
  OnChoiceChanged(now);
  subscriber_.schedule.AllocateSoon();  // the bandwidth is shared among other layers now
}

void SubscriberSlot::OnChoiceChanged(Timestamp now) {
  for (PublishedTrack* track : {shown_, wanted_}) {
    if (track != nullptr) track->OnRoutesChanged();
  }
  LimitLayers();
  AskForWanted(now);
}

// With simulcast, the spatial part of the target selects the encoding, and its temporal part applies within
// it. On the way down the old encoding loses temporal layers at once, as the keyframe of the new one may take
// a while.
void SubscriberSlot::LimitLayers() {
  if (!target_) return;
  const PublishedLayer* bound = Bound();
  if (bound == nullptr || !bound->track().simulcast()) return forwarder_.SetLimit(*target_);
  LayerTarget limit{kMaxSpatialLayers - 1, kMaxTemporalLayers - 1};
  if (bound->encoding() == target_->spatial) limit.temporal = target_->temporal;
  if (bound->encoding() > target_->spatial) limit.temporal = 0;
  forwarder_.SetLimit(limit);
}

// Starts the selected encoding from a cached keyframe, or requests one, coalesced with other requests.
void SubscriberSlot::AskForWanted(Timestamp now) {
  if (!subscriber_.sender.ready() || wanted_ == nullptr || wanted_->muted()) return;
  if (settings_.kind != MediaKind::kVideo) return;
  PublishedLayer* layer = WantedEncoding();
  if (layer == nullptr || layer == Bound()) return;
  if (!StartFromCache(*layer, now)) AskForKeyframe(*layer);
}

void SubscriberSlot::AskForKeyframe(PublishedLayer& layer) {
  const PublishedLayer* bound = Bound();
  const bool only_better = bound != nullptr && &bound->track() == &layer.track() &&
                           bound->encoding() < layer.encoding() && layer.track().crowded();
  if (!only_better && !layer.keyframes().pending()) layer.track().RequestKeyframe(layer);
  if (only_better && !layer.keyframes().awaited()) layer.track().RequestBetterKeyframe(layer);
}

bool SubscriberSlot::StartFromCache(PublishedLayer& layer, Timestamp now) {
  if (layer.ring() == nullptr) return false;
  const bool steps_back = shown_ == &layer.track() && Bound() != nullptr;
  const std::optional<int64_t> from =
      steps_back ? layer.keyframe_cache().ReplayFrom(*layer.ring(), now, kMaxStepBack)
                 : layer.keyframe_cache().ReplayFrom(*layer.ring(), now);
  if (!from || !Start(layer, *layer.ring()->Find(*from))) return false;
  layer.CountReplay();
  ForwardStored(layer, *from, {}, now);
  return true;
}

}  // namespace nexus
