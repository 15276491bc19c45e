// Locates the newest keyframe of a published layer in the layer's ring, and decides whether it may be
// replayed. A viewer that joins or switches shortly after a keyframe is shown it at once, without a request
// to the publisher. No packet is stored for this.
#pragma once

#include <optional>

#include "engine/forward/packet_ring.h"

namespace nexus {

struct KeyframeCacheConfig {
  // Maximum age of a keyframe to replay. The replay is behind what others are shown, and catches up in a
  // burst, so it must be short.
  Duration max_span{400'000};
  // Maximum number of packets of the keyframe, and of all packets after it.
  int64_t max_keyframe_packets = 200;
  int64_t max_following_packets = 96;
};

class KeyframeCache {
 public:
  explicit KeyframeCache(const KeyframeCacheConfig& config = {}) : config_(config) {}

  // To be called for each packet after it was stored in the ring.
  void OnPacket(const SourcePacket& packet);
  // For another codec or a muted track: nothing from before may be shown.
  void Forget() { start_.reset(); }

  // Number of the first packet to replay; all later ones in the ring follow. For H.264 it is the packet with
  // the parameter sets (RFC 6184 section 5.7; hard problem 20). Nothing if the keyframe is older than
  // `max_age` (or than the cache's span), too large, or no longer complete in the ring.
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
