// Messages between the shards of one room: the same bytes between two threads and, later, between two nodes
// (docs/architecture/engine-relays.md). A batch is a sequence of messages:
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     type      |              size of the body                 |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                             body …
//
// Unknown types are skipped, so that nodes of two versions can communicate.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/codec/codec.h"
#include "engine/codec/picture_size.h"
#include "engine/rtp/rtp_extensions.h"
#include "engine/sctp/dcep.h"

namespace nexus {

inline constexpr size_t kMaxRelayedEncodings = 4;

// From the publisher's shard.
struct RelayTrackAdded {
  RoomId room;
  TrackId track;
  TransportId publisher;
  bool video = false;
  bool muted = false;
  uint8_t group = 0;
  uint32_t number = 0;
  uint8_t encodings = 1;           // number of simulcast encodings, by SSRC or rid
  std::vector<std::string> rids;   // low to high
  std::vector<PictureSize> sizes;  // as reported by the publisher, low to high
};
struct RelayTrackGone {
  TrackId track;
};
struct RelayTrackMuted {
  TrackId track;
  bool muted = false;
};
struct RelayTrackSizes {
  TrackId track;
  std::vector<PictureSize> sizes;  // as reported by the publisher, low to high
};
// Properties of an encoding's packets; sent before the first packet and after each change.
struct RelaySource {
  TrackId track;
  uint8_t encoding = 0;
  uint32_t life = 0;  // a new value: the stream restarted, and its numbers with it
  Codec codec = Codec::kOpus;
  PayloadType payload_type;
  uint32_t clock_rate = 0;
  std::optional<uint32_t> h264_profile_level_id;
  uint8_t h264_packetization_mode = 0;
  uint8_t vp9_profile = 0;
  std::string rid;
  friend bool operator==(const RelaySource&, const RelaySource&) = default;
};
// Views point into the batch.
struct RelayPacket {
  TrackId track;
  uint8_t encoding = 0;
  int64_t sequence_number = 0;
  int64_t timestamp = 0;
  Timestamp media_time;  // on the sending shard's clock
  bool marker = false;
  bool redundant = false;
  std::optional<AudioLevel> audio_level;
  std::optional<uint8_t> video_orientation;
  ByteView payload;
  ByteView dependency_descriptor;
};
// Smoothed levels of the shard's own audio sources in a room.
struct RelayLevel {
  TrackId track;
  double level_dbov = -127;
  bool silent = true;
  // Time since the source last spoke, up to a minute; nothing: never.
  std::optional<std::chrono::milliseconds> spoke_ago;
  friend bool operator==(const RelayLevel&, const RelayLevel&) = default;
};
struct RelayLevels {
  RoomId room;
  std::vector<RelayLevel> levels;
};
// From the home shard: the audio sources that are forwarded in the room.
struct RelayChoice {
  RoomId room;
  std::vector<TrackId> heard;
};
// To the publisher's shard: the first viewer has subscribed on this shard, or the last one has left.
struct RelayInterest {
  TrackId track;
  bool wanted = false;
  // The highest layers wanted by any viewer there (LayerTarget).
  uint8_t spatial = 0xFF;
  uint8_t temporal = 0xFF;
};
struct RelayKeyframeRequest {
  TrackId track;
  uint8_t encoding = 0;
};

// Application data for all participants of the room on that shard, or for one participant; `message` is the
// envelope as receivers get it.
struct RelayData {
  RoomId room;
  std::string participant;
  DataChannelOptions kind;
  ByteView message;
};

using RelayMessage =
    std::variant<RelayTrackAdded, RelayTrackGone, RelayTrackMuted, RelaySource, RelayPacket, RelayLevels,
                 RelayChoice, RelayInterest, RelayKeyframeRequest, RelayData, RelayTrackSizes>;

// Appends the message to `out`.
void WriteRelay(const RelayMessage& message, std::vector<uint8_t>& out);

class RelayReader {
 public:
  explicit RelayReader(ByteView batch) : reader_(batch) {}
  // Nothing at the end, or if the bytes are not a valid message; then `malformed` is true.
  std::optional<RelayMessage> Next();
  bool malformed() const { return malformed_; }

 private:
  ByteReader reader_;
  bool malformed_ = false;
};

}  // namespace nexus
