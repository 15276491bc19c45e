#include "engine/subscribe/fan_out.h"

#include <algorithm>

#include "engine/base/prefetch.h"
#include "engine/publish/published_track.h"
#include "engine/subscribe/subscriber_slot.h"

namespace nexus {

void FanOut::NoteArrival(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  PublishedTrack& track = layer.track();
  if (!track.NoteArrival(layer, packet, now)) return;
  Flush(now);
  track.OnEncodingsChanged(now);
}

void FanOut::Deliver(PublishedLayer& layer, const SourcePacket& packet, Timestamp now) {
  layer.track().ToSinks(layer, packet, now);
  collected_.push_back({layer.id(), packet.sequence_number});
  if (!collecting_ || full()) Flush(now);
}

bool FanOut::ForwardSome(Timestamp now) {
  while (!burst_.empty() || NextBurst()) {
    if (ForwardBurst(now)) return true;
  }
  collected_.clear();
  position_ = 0;
  return false;
}

// A burst is consecutive packets of one layer.
bool FanOut::NextBurst() {
  while (position_ < collected_.size() && burst_.empty()) {
    const LayerId id = collected_[position_].layer;
    layer_ = layers_.Find(id);
    const PacketRing* ring = layer_ == nullptr ? nullptr : layer_->ring();
    for (; position_ < collected_.size() && collected_[position_].layer == id; ++position_) {
      const SourcePacket* packet =
          ring == nullptr ? nullptr : ring->Find(collected_[position_].sequence_number);
      if (packet != nullptr) burst_.push_back(packet);
    }
  }
  if (burst_.empty()) return false;
  next_slot_ = 0;
  layer_->track().FreshenRoutes();
  if (pad_runs_ && burst_.size() > 1 && layer_->track().kind() == MediaKind::kVideo) PadBurst(*layer_);
  return true;
}

// The state of a subscriber takes a dozen cache misses in a chain of three, so it is prefetched a few slots
// ahead.
bool FanOut::ForwardBurst(Timestamp now) {
  constexpr size_t kSlotAhead = 6;
  constexpr size_t kPointersAhead = 4;
  constexpr size_t kStateAhead = 2;
  const std::vector<SubscriberSlot*>& route = layer_->track().RouteOf(*layer_);
  if (route.empty()) drops_.Count(DropReason::kLayerNotForwarded, burst_.size());
  while (next_slot_ < route.size()) {
    const size_t i = next_slot_++;
    if (i + kSlotAhead < route.size()) PrefetchForRead(route[i + kSlotAhead], kCacheLine);
    if (i + kPointersAhead < route.size()) route[i + kPointersAhead]->PrefetchPointers();
    if (i + kStateAhead < route.size()) route[i + kStateAhead]->Prefetch();
    route[i]->OnBurst(*layer_, burst_, now);
    if (out_.bytes() >= kSendAt && next_slot_ < route.size()) return true;
  }
  burst_.clear();
  return out_.bytes() >= kSendAt;
}

// Encoders split a frame into packets that differ by a few bytes, and the kernel takes only equal segments as
// one run. Slightly shorter packets are padded (RFC 3550 section 5.1) to the length of their neighbours, once
// for all subscribers: one run for each frame instead of two.
void FanOut::PadBurst(PublishedLayer& layer) {
  for (size_t i = 0; i < burst_.size();) {
    size_t least = burst_[i]->payload.size();
    size_t most = least;
    size_t end = i + 1;
    for (; end < burst_.size(); ++end) {
      const size_t size = burst_[end]->payload.size();
      if (std::max(most, size) - std::min(least, size) > kMaxRunPadding) break;
      most = std::max(most, size);
      least = std::min(least, size);
    }
    for (; i < end; ++i) {
      const size_t short_of = most - burst_[i]->payload.size();
      if (short_of > 0) layer.Pad(burst_[i]->sequence_number, static_cast<uint8_t>(short_of));
    }
  }
}

}  // namespace nexus
