// What the subscriber's slots get of its bandwidth: demands collected from tracks and wishes, shared out by
// the allocator, carried out as layer targets.
#include <algorithm>
#include <array>

#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {
namespace {

// While nothing changes; rates of layers are measured over a second.
constexpr Duration kInterval = std::chrono::milliseconds(500);
constexpr Duration kRelaxedInterval = std::chrono::seconds(1);
// Estimates come ten times a second and more.
constexpr Duration kLeastInterval = std::chrono::milliseconds(50);
// A change of the estimate that is worth looking at at once.
constexpr double kWorthRaising = 1.05;
// Opus at its usual rates, with headers and a redundant copy now and then: kept free for each voice that is
// heard.
constexpr int64_t kVoiceBps = 60'000;
// By SDP's convention of this project (TrackSettings::group) the screen and its sound are group 1.
constexpr int kScreenGroup = 1;
// When neither the publisher nor a keyframe says how large the pictures are: of the highest layer.
constexpr uint32_t kLargestHeight = 720;
constexpr uint32_t kLargestScreenHeight = 1'080;
// A picture may be shown a little larger than it is.
constexpr double kStretch = 1.15;
// What an encoding takes as long as nothing of it was seen (bits per second, low to high).
constexpr std::array<uint64_t, kMaxSpatialLayers> kTypicalBps = {150'000, 500'000, 1'700'000, 4'000'000};

size_t Encodings(const PublishedTrack& track, const LayerRates& rates) {
  size_t seen = 0;
  for (size_t s = 0; s < rates.size(); ++s) {
    if (std::any_of(rates[s].begin(), rates[s].end(), [](uint64_t bps) { return bps > 0; })) seen = s + 1;
  }
  const size_t negotiated = std::max(track.settings().rids.size(), track.settings().ssrcs.size());
  return std::min(track.simulcast() ? std::max(seen, negotiated) : seen, kMaxSpatialLayers);
}

// The smallest layer that fills the picture.
uint8_t SpatialFor(const SlotPreferences& preferences, const PictureSizes& sizes, size_t encodings,
                   bool screen) {
  const auto highest = static_cast<uint8_t>(kMaxSpatialLayers - 1);
  if (preferences.height == 0 || preferences.width == 0 || encodings < 2) return highest;
  // Of an upright picture the shorter side counts.
  const auto shown = static_cast<double>(std::min(preferences.height, preferences.width));
  const uint32_t largest = screen ? kLargestScreenHeight : kLargestHeight;
  for (size_t s = 0; s + 1 < encodings; ++s) {
    if (static_cast<double>(sizes.Lines(s, encodings, largest)) * kStretch >= shown)
      return static_cast<uint8_t>(s);
  }
  return highest;
}

LayerTarget MaxFor(const SlotPreferences& preferences, const PictureSizes& sizes, size_t encodings,
                   bool screen) {
  LayerTarget max = kHighestLayer;
  max.spatial = SpatialFor(preferences, sizes, encodings, screen);
  if (preferences.max) {
    max.spatial = std::min(max.spatial, preferences.max->spatial);
    max.temporal = std::min(max.temporal, preferences.max->temporal);
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

bool Transport::Speaks(ParticipantNumber owner, Timestamp now) const {
  return std::any_of(tracks_.begin(), tracks_.end(), [&](const auto& track) {
    return track->kind() == MediaKind::kAudio && track->owner() == owner && !track->muted() &&
           track->started && !track->silent(now);
  });
}

// Called from the midst of changes, also of this transport's own tracks: only the deadline is moved.
void Transport::AllocateSoon() {
  send_->next_allocation = Timestamp{};
  const Timestamp at = last_timeout_ + Duration(1'000);
  if (at < deadline_.at()) context_.deadlines.Set(deadline_, at);
}

void Transport::SetPreferences(SubscriberSlot& slot, const SlotPreferences& preferences, Timestamp) {
  slot.preferences = preferences;
  AllocateSoon();
}

void Transport::CollectDemands(Timestamp now) {
  send_->demands.clear();
  send_->demanding.clear();
  for (const auto& slot : slots_) {
    if (slot->settings().kind != MediaKind::kVideo) continue;
    const PublishedTrack* track = slot->wanted() != nullptr ? slot->wanted() : slot->shown();
    if (track == nullptr) {
      slot->SetPaused(false);
      continue;
    }
    const SlotPreferences& preferences = slot->preferences;
    if (!preferences.visible) {
      slot->SetPaused(false);  // nobody looks: no reason to say anything
      slot->SetTarget(std::nullopt, now);
      continue;
    }
    if (track->muted()) continue;
    SlotDemand demand;
    demand.slot = slot->id();
    demand.rates = track->LayerBitrates(now);
    demand.screen = track->settings().group == kScreenGroup;
    const size_t encodings = Encodings(*track, demand.rates);
    AssumeTypical(demand.rates, *track, encodings);
    demand.max = MaxFor(preferences, track->sizes(), encodings, demand.screen);
    slot->SetWish(demand.max);
    demand.priority = preferences.priority;
    demand.pinned = preferences.pinned;
    demand.area = uint32_t{preferences.width} * preferences.height;
    demand.speaking = track->publisher().Speaks(track->owner(), now);
    send_->demands.push_back(demand);
    send_->demanding.push_back(slot.get());
  }
}

void Transport::Allocate(Timestamp now) {
  const std::optional<int64_t> estimate = send_->estimator.estimate_bps();
  int64_t voices = 0;
  for (const auto& slot : slots_) {
    if (slot->settings().kind == MediaKind::kAudio && slot->shown() != nullptr) voices += kVoiceBps;
  }
  CollectDemands(now);
  BandwidthAllocator& allocator = send_->allocator;
  std::optional<int64_t> budget;
  if (estimate) budget = std::max<int64_t>(*estimate - voices, 0);
  const auto grants = allocator.Update(send_->demands, budget, send_->estimator.measured(), now);
  for (size_t i = 0; i < grants.size(); ++i) {
    SubscriberSlot& slot = *send_->demanding[i];
    slot.SetTarget(grants[i].target, now);
    if (send_->estimator.draining()) slot.LetGo(now);
    slot.SetPaused(!grants[i].target);
  }
  send_->target_bps = allocator.granted_bps() + voices;
  const int64_t demand = grants.empty() ? 0 : allocator.wanted_bps() + voices;
  send_->estimator.SetDemand(demand, now);
  send_->allocated_for_bps = estimate.value_or(0);
  send_->last_allocation = now;
  const bool constrained = estimate && *estimate < demand * 3 / 2;
  send_->next_allocation = grants.empty() ? kNever : now + (constrained ? kInterval : kRelaxedInterval);
}

// At once when what is sent no longer fits, or when there may be room for more.
void Transport::AllocateAfterEstimate(Timestamp now) {
  if (!ready() || send_->next_allocation == kNever) return;
  const int64_t estimate = send_->estimator.estimate_bps().value_or(0);
  const bool short_of = estimate < send_->target_bps;
  const bool room =
      send_->target_bps < send_->allocator.wanted_bps() &&
      static_cast<double>(estimate) > kWorthRaising * static_cast<double>(send_->allocated_for_bps);
  if (!short_of && !room) return;
  send_->next_allocation =
      std::min(send_->next_allocation, std::max(now, send_->last_allocation + kLeastInterval));
}

}  // namespace nexus
