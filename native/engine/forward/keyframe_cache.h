// Where the newest keyframe of a published layer lies in its ring, and whether what is there may stand in for
// a new one: whoever joins or switches within a moment of a keyframe is shown it at once, from memory, and
// the publisher is not asked. No packet is stored for it.
#pragma once

#include <optional>

#include "engine/forward/packet_ring.h"

namespace nexus {

struct KeyframeCacheConfig {
  // What is replayed is older than what others see now, and is caught up with in a burst: both are kept
  // short.
  Duration max_span{400'000};
  // Packets of the keyframe, and of all that came behind it.
  int64_t max_keyframe_packets = 200;
  int64_t max_following_packets = 96;
};

class KeyframeCache {
 public:
  explicit KeyframeCache(const KeyframeCacheConfig& config = {}) : config_(config) {}

  // Each packet once it is in the ring.
  void OnPacket(const SourcePacket& packet);
  // Another codec, or the track was muted: what was before must not be shown.
  void Forget() { start_.reset(); }

  // The number of the first packet to replay; all later ones in the ring follow. For H.264 that is the one
  // with the parameter sets, wherever they stand (RFC 6184 section 5.7; hard problem 20). Nothing when it is
  // older than `max_age` (and never older than the cache's span), has grown too long or is no longer whole in
  // the ring.
  std::optional<int64_t> ReplayFrom(const PacketRing& ring, Timestamp now, Duration max_age) const;
  std::optional<int64_t> ReplayFrom(const PacketRing& ring, Timestamp now) const {
    return ReplayFrom(ring, now, config_.max_span);
  }

 private:
  struct Start {
    int64_t sequence_number;
    int64_t timestamp;
    Timestamp arrival;
    int64_t last_of_keyframe;
  };
  KeyframeCacheConfig config_;
  std::optional<Start> start_;
};

}  // namespace nexus
