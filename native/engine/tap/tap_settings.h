// How a tap is to be kept, and how what leaves it is cut.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

using TapId = StrongId<struct TapIdTag, uint32_t>;

struct TapSettings {
  // So long a missing packet is waited for. A recording can wait for what a call could not: a publisher keeps
  // what it sent for about a second (libwebrtc), and a retransmission may be lost too.
  Duration patience = std::chrono::milliseconds(1'500);
  // So long a record waits for company.
  Duration batch_interval = std::chrono::milliseconds(50);
  size_t batch_bytes = 64u << 10;   // a batch is sent on at this size
  size_t reorder_bytes = 4u << 20;  // held behind a hole at most: 1.5 s at 20 Mbit/s
  size_t backlog_bytes = 4u << 20;  // kept for a slow reader at most
  // Unix time at the engine clock's zero, so that media times can be told as Unix time.
  int64_t unix_offset_us = 0;
};

// Bounds of what may be asked for.
inline constexpr Duration kMaxTapPatience = std::chrono::seconds(10);
inline constexpr Duration kMaxTapBatchInterval = std::chrono::seconds(1);
inline constexpr size_t kMinTapBacklog = 64u << 10;
inline constexpr size_t kMaxTapBacklog = 64u << 20;

// A piece of a serialised StreamTrackResponse (proto/nexus/sfu/v1/track_stream.proto), whole records, and
// what is in it. Pieces may be joined by appending: a repeated field of a message may come in parts
// (protobuf's encoding, "Last One Wins" and "Repeated Elements").
struct TapBatch {
  TapId tap;
  std::vector<uint8_t> records;
  uint64_t packets = 0;
  // Of the packets and gaps inside; meaningful when there are any.
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  bool numbered = false;
  // The last source and mute records inside, for when this batch must be dropped.
  std::vector<uint8_t> last_source;
  std::vector<uint8_t> last_muted;
  uint64_t packets_dropped = 0;  // told by a gap record for a slow reader inside
  bool ended = false;            // the tap's last one
};

}  // namespace nexus
