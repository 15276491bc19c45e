#include "engine/subscribe/subscriber_slots.h"

#include <algorithm>
#include <array>

#include "engine/publish/screen_share.h"
#include "engine/publish/track_publisher.h"

namespace nexus {
namespace {

// Intervals of allocation while nothing changes; rates of layers are measured over a second.
constexpr Duration kInterval = std::chrono::milliseconds(500);
constexpr Duration kRelaxedInterval = std::chrono::seconds(1);
// Least interval: estimates come ten times a second and more.
constexpr Duration kLeastInterval = std::chrono::milliseconds(50);
// Rise of the estimate at which bandwidth is allocated at once.
constexpr double kWorthRaising = 1.05;
// Bandwidth reserved for each audio slot that sends: Opus at its usual rates, with headers and some
// redundancy.
constexpr int64_t kAudioSlotBps = 60'000;
// Factor by which a layer may be scaled up before a higher one is sent.
constexpr double kStretch = 1.15;
// Assumed bitrates of encodings that have not been measured (bits per second, low to high).
constexpr std::array<uint64_t, kMaxSpatialLayers> kTypicalBps = {150'000, 500'000, 1'700'000, 4'000'000};

size_t Encodings(const PublishedTrack& track, const LayerRates& rates) {
  size_t seen = 0;
  for (size_t s = 0; s < rates.size(); ++s) {
    if (std::any_of(rates[s].begin(), rates[s].end(), [](uint64_t bps) { return bps > 0; })) seen = s + 1;
  }
  const size_t negotiated = std::max(track.settings().rids.size(), track.settings().ssrcs.size());
  return std::min(track.simulcast() ? std::max(seen, negotiated) : seen, kMaxSpatialLayers);
}

// The smallest layer that fills the view.
uint8_t SpatialFor(const SlotView& view, const PublishedTrack& track, size_t encodings) {
  const auto highest = static_cast<uint8_t>(kMaxSpatialLayers - 1);
  if (view.height == 0 || view.width == 0 || encodings < 2) return highest;
  // The shorter side counts, for portrait video too.
  const auto shown = static_cast<double>(std::min(view.height, view.width));
  const uint32_t largest = AssumedHeight(track.settings());
  const std::optional<size_t> lowest = track.sizes().LowestWith(shown / kStretch, encodings, largest);
  return lowest && *lowest + 1 < encodings ? static_cast<uint8_t>(*lowest) : highest;
}

LayerTarget MaxFor(const SlotView& view, const PublishedTrack& track, size_t encodings) {
  LayerTarget max = kHighestLayer;
  max.spatial = SpatialFor(view, track, encodings);
  if (view.max) {
    max.spatial = std::min(max.spatial, view.max->spatial);
    max.temporal = std::min(max.temporal, view.max->temporal);
  }
  return max;
}

void AssumeTypical(LayerRates& rates, const PublishedTrack& track, size_t encodings) {
  const bool unknown = std::all_of(rates.begin(), rates.end(), [](const auto& row) {
    return std::all_of(row.begin(), row.end(), [](uint64_t bps) { return bps == 0; });
  });
  if (!unknown || !track.simulcast()) return;
  for (size_t s = 0; s < encodings; ++s) rates[s][0] = kTypicalBps[s];
}

}  // namespace

SubscriberSlot* SubscriberSlots::Add(SlotId id, const SlotSettings& settings, Timestamp now,
                                     std::string_view& refusal) {
  if (slots_.size() >= context_.config.max_slots_per_transport) return refusal = "too_many_slots", nullptr;
  if (by_ssrc_.contains(settings.ssrc)) return refusal = "ssrc_in_use", nullptr;
  slots_.push_back(std::make_unique<SubscriberSlot>(context_, parts_, id, settings, now));
  by_ssrc_[settings.ssrc] = slots_.back().get();
  parts_.audio.PlaceAnew();
  parts_.schedule.AllocateSoon();
  return slots_.back().get();
}

void SubscriberSlots::Remove(SubscriberSlot& slot) {
  by_ssrc_.erase(slot.settings().ssrc);
  parts_.audio.PlaceAnew();
  std::erase_if(slots_, [&](const auto& owned) { return owned.get() == &slot; });
}

SubscriberSlot* SubscriberSlots::Find(Ssrc ssrc) const {
  const auto found = by_ssrc_.find(ssrc);
  return found == by_ssrc_.end() ? nullptr : found->second;
}

void SubscriberSlots::OnReady(Timestamp now) {
  for (const auto& slot : slots_) slot->OnReady(now);
}

void SubscriberSlots::OnRenegotiated() {
  for (const auto& slot : slots_) slot->OnRenegotiated();
}

void SubscriberSlots::CollectDemands(Timestamp now) {
  demands_.clear();
  demanding_.clear();
  for (const auto& slot : slots_) {
    if (slot->settings().kind != MediaKind::kVideo) continue;
    const PublishedTrack* track = slot->wanted() != nullptr ? slot->wanted() : slot->shown();
    if (track == nullptr) {
      slot->SetPaused(false);
      continue;
    }
    const SlotView& view = slot->view();
    if (!view.visible) {
      slot->SetPaused(false);  // it is not visible, so that a pause is not reported
      slot->SetTarget(std::nullopt, now);
      continue;
    }
    if (track->muted()) continue;
    SlotDemand demand;
    demand.slot = slot->id();
    demand.rates = track->LayerBitrates(now);
    demand.screen = IsScreenShare(track->settings());
    const size_t encodings = Encodings(*track, demand.rates);
    AssumeTypical(demand.rates, *track, encodings);
    demand.max = MaxFor(view, *track, encodings);
    slot->SetDemand(demand.max);
    demand.priority = view.priority;
    demand.pinned = view.pinned;
    demand.area = uint32_t{view.width} * view.height;
    demand.speaking = track->publisher().Speaks(track->owner(), now);
    demands_.push_back(demand);
    demanding_.push_back(slot.get());
  }
}

void SubscriberSlots::Allocate(Timestamp now) {
  const std::optional<int64_t> estimate = parts_.sender.estimator().estimate_bps();
  int64_t audio_bps = 0;
  for (const auto& slot : slots_) {
    if (slot->settings().kind == MediaKind::kAudio && slot->shown() != nullptr) audio_bps += kAudioSlotBps;
  }
  CollectDemands(now);
  BandwidthAllocator& allocator = allocation_.allocator;
  std::optional<int64_t> budget;
  if (estimate) budget = std::max<int64_t>(*estimate - audio_bps, 0);
  const auto grants = allocator.Update(demands_, budget, parts_.sender.estimator().measured(), now);
  for (size_t i = 0; i < grants.size(); ++i) {
    SubscriberSlot& slot = *demanding_[i];
    slot.SetTarget(grants[i].target, now);
    if (parts_.sender.estimator().draining()) slot.LetGo(now);
    slot.SetPaused(!grants[i].target);
  }
  allocation_.target_bps = allocator.granted_bps() + audio_bps;
  const int64_t demand = grants.empty() ? 0 : allocator.wanted_bps() + audio_bps;
  parts_.sender.estimator().SetDemand(demand, now);
  allocation_.for_bps = estimate.value_or(0);
  allocation_.last = now;
  const bool constrained = estimate && *estimate < demand * 3 / 2;
  parts_.schedule.next_allocation =
      grants.empty() ? kNever : now + (constrained ? kInterval : kRelaxedInterval);
}

void SubscriberSlots::AllocateAfterEstimate(Timestamp now) {
  if (!parts_.sender.ready() || parts_.schedule.next_allocation == kNever) return;
  const int64_t estimate = parts_.sender.estimator().estimate_bps().value_or(0);
  const bool short_of = estimate < allocation_.target_bps;
  const bool room = allocation_.target_bps < allocation_.allocator.wanted_bps() &&
                    static_cast<double>(estimate) > kWorthRaising * static_cast<double>(allocation_.for_bps);
  if (!short_of && !room) return;
  parts_.schedule.next_allocation =
      std::min(parts_.schedule.next_allocation, std::max(now, allocation_.last + kLeastInterval));
}

void SubscriberSlots::ForgetAllocation() {
  allocation_ = Allocation{};
  parts_.schedule.next_allocation = Timestamp{};
}

size_t SubscriberSlots::SendPadding(Timestamp now) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    SubscriberSlot& slot = *slots_[padding_turn_++ % slots_.size()];
    if (slot.settings().kind != MediaKind::kVideo) continue;
    if (const size_t sent = slot.SendPadding(now); sent > 0) return sent;
  }
  return 0;
}

}  // namespace nexus
