// Settings of a tap, and its batches.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

using TapId = StrongId<struct TapIdTag, uint32_t>;

struct TapSettings {
  // How long to wait for a missing packet. A recording can wait longer than a call: a publisher keeps sent
  // packets for about a second (libwebrtc), and a retransmission may be lost too.
  Duration patience = std::chrono::milliseconds(1'500);
  // How long a record may wait for others of its batch.
  Duration batch_interval = std::chrono::milliseconds(50);
  size_t batch_bytes = 64u << 10;   // a batch is passed on at this size
  size_t reorder_bytes = 4u << 20;  // maximum held after a hole: 1.5 s at 20 Mbit/s
  size_t backlog_bytes = 4u << 20;  // maximum kept for a slow reader
  // Unix time at the engine clock's zero, to convert media times to Unix time.
  int64_t unix_offset_us = 0;
};

// Bounds of the settings.
inline constexpr Duration kMaxTapPatience = std::chrono::seconds(10);
inline constexpr Duration kMaxTapBatchInterval = std::chrono::seconds(1);
inline constexpr size_t kMinTapBacklog = 64u << 10;
inline constexpr size_t kMaxTapBacklog = 64u << 20;

// Complete records of a serialised StreamTrackResponse (proto/nexus/sfu/v1/track_stream.proto), with their
// counts. Batches may be joined by appending, because a repeated field of a message may be split (protobuf's
// encoding, "Last One Wins" and "Repeated Elements").
struct TapBatch {
  TapId tap;
  std::vector<uint8_t> records;
  uint64_t packets = 0;
  // Numbers of the packets and gaps in this batch; valid if `numbered`.
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  bool numbered = false;
  // The last source and mute records of this batch, in case it must be dropped.
  std::vector<uint8_t> last_source;
  std::vector<uint8_t> last_muted;
  uint64_t packets_dropped = 0;  // as in this batch's gap record for a slow reader
  bool ended = false;            // the tap's last batch
};

}  // namespace nexus
