// One packet of a published layer: parsed, inspected and stored once, and forwarded to all its subscribers.
#pragma once

#include <optional>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/codec/codec.h"
#include "engine/rtp/rtp_extensions.h"

namespace nexus {

// Identifies a published layer (one media SSRC) for its life; never reused, so that a stale reference finds
// nothing.
using LayerId = StrongId<struct LayerIdTag, uint32_t>;

// Maximum padding that may be added to a packet for subscribers, see FanOut.
inline constexpr size_t kMaxRunPadding = 8;

struct SourcePacket {
  int64_t sequence_number = 0;  // unwrapped
  int64_t timestamp = 0;        // unwrapped
  Timestamp arrival;
  Timestamp media_time;  // when it was sampled, on the SFU's clock (SourceClock)
  bool marker = false;
  FrameInfo frame;
  bool redundant = false;  // received as RED: the publisher sends earlier packets along
  std::optional<AudioLevel> audio_level;
  std::optional<uint8_t> video_orientation;
  // Both point into the ring's memory (or into the caller's buffer before the packet is stored).
  ByteView payload;  // empty: a padding-only probe
  ByteView dependency_descriptor;
  LayerId layer;  // the layer whose ring contains it
  // Number of RTP padding bytes after `payload` (PacketRing::Pad), which are sent with it.
  uint8_t padding = 0;
};

}  // namespace nexus
