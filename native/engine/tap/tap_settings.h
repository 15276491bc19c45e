// Settings of a tap, and its batches.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace nexus {

using TapId = StrongId<struct TapIdTag, uint32_t>;

// The needs of a tap, as the track's publisher is asked for them.
struct TapDemand {
  // A keyframe at least this often; 0: only where one is needed.
  Duration keyframe_interval{0};
  // The size that is needed, in pixels; 0: the best.
  uint32_t max_width = 0;
  uint32_t max_height = 0;
};

struct TapSettings {
  // How long to wait for a missing packet. A recording can wait longer than a call: a publisher keeps sent
  // packets for about a second (libwebrtc), and a retransmission may be lost too.
  Duration patience = std::chrono::milliseconds(1'500);
  // How long a record may wait for others of its batch.
  Duration batch_interval = std::chrono::milliseconds(50);
  size_t batch_bytes = 64u << 10;   // a batch is passed on at this size
  size_t reorder_bytes = 4u << 20;  // maximum held after a hole: 1.5 s at 20 Mbit/s
  size_t backlog_bytes = 4u << 20;  // maximum kept for a slow reader
  // How long records are kept until they are acknowledged; 0: the tap has no name and ends with its reader.
  Duration retention{0};
  // Position of the last record that an earlier tap of this name has delivered. Positions continue after it,
  // and a gap comes first.
  uint64_t first_position = 0;
  TapDemand demand;
  // Unix time at the engine clock's zero, to convert media times to Unix time.
  int64_t unix_offset_us = 0;
};

// Bounds of the settings.
inline constexpr Duration kMaxTapPatience = std::chrono::seconds(10);
inline constexpr Duration kMaxTapBatchInterval = std::chrono::seconds(1);
inline constexpr size_t kMinTapBacklog = 64u << 10;
inline constexpr size_t kMaxTapBacklog = 64u << 20;
inline constexpr Duration kMaxTapKeyframeInterval = std::chrono::seconds(60);
inline constexpr Duration kMaxTapRetention = std::chrono::seconds(60);
// Maximum size of the records that are kept for one named tap.
inline constexpr size_t kMaxRetainedBytes = 64u << 20;

// Complete records of a serialised StreamTrackResponse (proto/nexus/sfu/v1/track_stream.proto), with their
// counts. Batches may be joined by appending, because a repeated field of a message may be split (protobuf's
// encoding, "Last One Wins" and "Repeated Elements").
struct TapBatch {
  TapId tap;
  std::vector<uint8_t> records;
  uint64_t packets = 0;
  uint64_t record_count = 0;
  // Number of the last record, counted from 1 over the life of the tap; 0: not numbered yet.
  uint64_t position = 0;
  // Numbers of the packets and gaps in this batch; valid if `numbered`.
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  bool numbered = false;
  // Media times of its first and last packet, as Unix time; 0: it has none.
  int64_t first_media_time_us = 0;
  int64_t last_media_time_us = 0;
  // The last source and mute records of this batch, in case it must be dropped.
  std::vector<uint8_t> last_source;
  std::vector<uint8_t> last_muted;
  uint64_t packets_dropped = 0;  // as in this batch's gap record for a slow reader
  bool ended = false;            // the tap's last batch
};

}  // namespace nexus
