// One packet of a published layer, parsed and inspected once, stored once, forwarded to all its subscribers.
#pragma once

#include <optional>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/codec/codec.h"
#include "engine/rtp/rtp_extensions.h"

namespace nexus {

// A published layer (one media SSRC) over its life; never used again, so a stale reference finds nothing.
using LayerId = StrongId<struct LayerIdTag, uint32_t>;

// A packet may be made longer by so much on its way to subscribers, see FanOut.
inline constexpr size_t kMaxRunPadding = 8;

struct SourcePacket {
  int64_t sequence_number = 0;  // unwrapped
  int64_t timestamp = 0;        // unwrapped
  Timestamp arrival;
  Timestamp media_time;  // when it was sampled, on the SFU's clock (SourceClock)
  bool marker = false;
  FrameInfo frame;
  bool redundant = false;  // came as RED: the publisher sends earlier packets along
  std::optional<AudioLevel> audio_level;
  std::optional<uint8_t> video_orientation;
  // Both point into the ring's slab (or the caller's buffer before it is stored).
  ByteView payload;  // empty: a padding-only probe
  ByteView dependency_descriptor;
  LayerId layer;  // whose ring holds it
  // So many bytes of RTP padding lie behind `payload` (PacketRing::Pad) and are sent with it.
  uint8_t padding = 0;
};

}  // namespace nexus
