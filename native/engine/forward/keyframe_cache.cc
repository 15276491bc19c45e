#include "engine/forward/keyframe_cache.h"

#include <algorithm>

namespace nexus {

void KeyframeCache::OnPacket(const SourcePacket& packet) {
  if (packet.frame.keyframe_start && (!start_ || packet.sequence_number > start_->sequence_number)) {
    start_ = Start{packet.sequence_number, packet.timestamp, packet.arrival, packet.sequence_number};
    return;
  }
  if (start_ && packet.timestamp == start_->timestamp) {
    start_->last_of_keyframe = std::max(start_->last_of_keyframe, packet.sequence_number);
  }
}

std::optional<int64_t> KeyframeCache::ReplayFrom(const PacketRing& ring, Timestamp now,
                                                 Duration max_age) const {
  if (!start_ || !ring.newest() || now - start_->arrival > std::min(max_age, config_.max_span)) {
    return std::nullopt;
  }
  const int64_t keyframe = start_->last_of_keyframe - start_->sequence_number + 1;
  const int64_t following = *ring.newest() - start_->last_of_keyframe;
  if (keyframe > config_.max_keyframe_packets || following > config_.max_following_packets)
    return std::nullopt;
  // Holes after the keyframe are being repaired for all subscribers; without its first packet a keyframe is
  // useless.
  if (ring.Find(start_->sequence_number) == nullptr) return std::nullopt;
  return start_->sequence_number;
}

}  // namespace nexus
