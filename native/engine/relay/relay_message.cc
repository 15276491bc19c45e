#include "engine/relay/relay_message.h"

#include <algorithm>
#include <cmath>

namespace nexus {
namespace {

enum class Type : uint8_t {
  kTrackAdded = 1,
  kTrackGone = 2,
  kTrackMuted = 3,
  kSource = 4,
  kPacket = 5,
  kLevels = 6,
  kChoice = 7,
  kInterest = 8,
  kKeyframeRequest = 9,
  kData = 10,
  kTrackSizes = 11,
};
constexpr size_t kHeaderSize = 4;
constexpr size_t kMaxBody = (1u << 24) - 1;
constexpr size_t kMaxText = 255;
constexpr int64_t kNeverSpoke = 0xFFFF;  // milliseconds in 16 bits
enum DataFlag : uint8_t { kOrdered = 1, kMaxRetransmits = 2, kMaxLifetime = 4 };
enum PacketFlag : uint8_t { kMarker = 1, kRedundant = 2, kHasLevel = 4, kVoice = 8, kHasOrientation = 16 };

// Writes a body after its header; the header's size is filled in at the end.
class Body {
 public:
  Body(Type type, std::vector<uint8_t>& out) : out_(out), start_(out.size()) {
    out_.push_back(static_cast<uint8_t>(type));
    out_.insert(out_.end(), 3, 0);
  }
  ~Body() {
    const size_t size = out_.size() - start_ - kHeaderSize;
    if (size > kMaxBody) {  // no valid message is this large
      out_.resize(start_);
      return;
    }
    for (size_t i = 0; i < 3; ++i) out_[start_ + 1 + i] = static_cast<uint8_t>(size >> 8 * (2 - i));
  }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  void U8(uint8_t value) { out_.push_back(value); }
  void U16(size_t value) { Big(value, 2); }
  void U32(uint32_t value) { Big(value, 4); }
  void I64(int64_t value) { Big(static_cast<uint64_t>(value), 8); }
  void Bytes(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void Text(std::string_view text) {
    text = text.substr(0, kMaxText);
    U8(static_cast<uint8_t>(text.size()));
    out_.insert(out_.end(), text.begin(), text.end());
  }
  void Sizes(const std::vector<PictureSize>& sizes) {
    const size_t count = std::min(sizes.size(), kMaxRelayedEncodings);
    U8(static_cast<uint8_t>(count));
    for (size_t i = 0; i < count; ++i) {
      U16(sizes[i].width);
      U16(sizes[i].height);
    }
  }

 private:
  void Big(uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out_.push_back(static_cast<uint8_t>(value >> 8 * (size - 1 - i)));
  }
  std::vector<uint8_t>& out_;
  size_t start_;
};

struct Writer {
  std::vector<uint8_t>& out;

  void operator()(const RelayTrackAdded& added) const {
    Body body(Type::kTrackAdded, out);
    body.U32(added.room.value);
    body.U32(added.track.value);
    body.U32(added.publisher.value);
    body.U8(static_cast<uint8_t>((added.video ? 1 : 0) | (added.muted ? 2 : 0)));
    body.U8(added.group);
    body.U32(added.number);
    body.U8(added.encodings);
    const size_t rids = std::min(added.rids.size(), kMaxRelayedEncodings);
    body.U8(static_cast<uint8_t>(rids));
    for (size_t i = 0; i < rids; ++i) body.Text(added.rids[i]);
    body.Sizes(added.sizes);
  }
  void operator()(const RelayTrackSizes& sizes) const {
    Body body(Type::kTrackSizes, out);
    body.U32(sizes.track.value);
    body.Sizes(sizes.sizes);
  }
  void operator()(const RelayTrackGone& gone) const { Body(Type::kTrackGone, out).U32(gone.track.value); }
  void operator()(const RelayTrackMuted& muted) const {
    Body body(Type::kTrackMuted, out);
    body.U32(muted.track.value);
    body.U8(muted.muted ? 1 : 0);
  }
  void operator()(const RelaySource& source) const {
    Body body(Type::kSource, out);
    body.U32(source.track.value);
    body.U8(source.encoding);
    body.U32(source.life);
    body.U8(static_cast<uint8_t>(source.codec));
    body.U8(source.payload_type.value);
    body.U32(source.clock_rate);
    body.U32(source.h264_profile_level_id.value_or(UINT32_MAX));
    body.U8(source.h264_packetization_mode);
    body.U8(source.vp9_profile);
    body.Text(source.rid);
  }
  void operator()(const RelayPacket& packet) const {
    Body body(Type::kPacket, out);
    body.U32(packet.track.value);
    body.U8(packet.encoding);
    uint8_t flags = 0;
    if (packet.marker) flags |= kMarker;
    if (packet.redundant) flags |= kRedundant;
    if (packet.audio_level) flags |= kHasLevel;
    if (packet.audio_level && packet.audio_level->voice) flags |= kVoice;
    if (packet.video_orientation) flags |= kHasOrientation;
    body.U8(flags);
    body.I64(packet.sequence_number);
    body.I64(packet.timestamp);
    body.I64(packet.media_time.time_since_epoch().count());
    body.U8(packet.audio_level ? packet.audio_level->level : 0);
    body.U8(packet.video_orientation.value_or(0));
    body.U16(packet.dependency_descriptor.size());
    body.Bytes(packet.dependency_descriptor);
    body.Bytes(packet.payload);
  }
  void operator()(const RelayLevels& levels) const {
    Body body(Type::kLevels, out);
    body.U32(levels.room.value);
    for (const RelayLevel& level : levels.levels) {
      body.U32(level.track.value);
      // Hundredths of a decibel below full scale.
      body.U16(static_cast<size_t>(std::lround(std::clamp(-level.level_dbov, 0.0, 127.0) * 100)));
      body.U8(level.silent ? 1 : 0);
      const auto ago =
          level.spoke_ago ? std::clamp<int64_t>(level.spoke_ago->count(), 0, kNeverSpoke - 1) : kNeverSpoke;
      body.U16(static_cast<size_t>(ago));
    }
  }
  void operator()(const RelayChoice& choice) const {
    Body body(Type::kChoice, out);
    body.U32(choice.room.value);
    for (const TrackId track : choice.heard) body.U32(track.value);
  }
  void operator()(const RelayInterest& interest) const {
    Body body(Type::kInterest, out);
    body.U32(interest.track.value);
    body.U8(interest.wanted ? 1 : 0);
    body.U8(interest.spatial);
    body.U8(interest.temporal);
  }
  void operator()(const RelayKeyframeRequest& request) const {
    Body body(Type::kKeyframeRequest, out);
    body.U32(request.track.value);
    body.U8(request.encoding);
  }
  void operator()(const RelayData& data) const {
    Body body(Type::kData, out);
    body.U32(data.room.value);
    body.Text(data.participant);
    const DataChannelOptions& kind = data.kind;
    body.U8(static_cast<uint8_t>((kind.ordered ? kOrdered : 0) |
                                 (kind.max_retransmits ? kMaxRetransmits : 0) |
                                 (kind.max_lifetime_ms ? kMaxLifetime : 0)));
    body.U32(kind.max_retransmits.value_or(kind.max_lifetime_ms.value_or(0)));
    body.U16(kind.priority);
    body.Text(kind.label);
    body.Text(kind.protocol);
    body.Bytes(data.message);
  }
};

std::string ReadText(ByteReader& body) {
  const ByteView text = body.Bytes(body.U8());
  return {text.begin(), text.end()};
}

std::vector<PictureSize> ReadSizes(ByteReader& body) {
  std::vector<PictureSize> sizes;
  const size_t count = std::min<size_t>(body.U8(), kMaxRelayedEncodings);
  for (size_t i = 0; i < count; ++i) {
    const uint16_t width = body.U16();
    sizes.push_back({width, body.U16()});
  }
  return sizes;
}

RelayTrackAdded ReadTrackAdded(ByteReader& body) {
  RelayTrackAdded added;
  added.room = RoomId{body.U32()};
  added.track = TrackId{body.U32()};
  added.publisher = TransportId{body.U32()};
  const uint8_t flags = body.U8();
  added.video = (flags & 1) != 0;
  added.muted = (flags & 2) != 0;
  added.group = body.U8();
  added.number = body.U32();
  added.encodings = body.U8();
  const size_t rids = std::min<size_t>(body.U8(), kMaxRelayedEncodings);
  for (size_t i = 0; i < rids; ++i) added.rids.push_back(ReadText(body));
  added.sizes = ReadSizes(body);
  return added;
}

std::optional<RelaySource> ReadSource(ByteReader& body) {
  RelaySource source;
  source.track = TrackId{body.U32()};
  source.encoding = body.U8();
  source.life = body.U32();
  const uint8_t codec = body.U8();
  if (codec > static_cast<uint8_t>(Codec::kAv1) || source.encoding >= kMaxRelayedEncodings)
    return std::nullopt;
  source.codec = static_cast<Codec>(codec);
  source.payload_type = PayloadType{body.U8()};
  source.clock_rate = body.U32();
  if (source.clock_rate == 0) return std::nullopt;  // times are divided by it
  const uint32_t profile = body.U32();
  if (profile != UINT32_MAX) source.h264_profile_level_id = profile;
  source.h264_packetization_mode = body.U8();
  source.vp9_profile = body.U8();
  source.rid = ReadText(body);
  return source;
}

RelayPacket ReadPacket(ByteReader& body) {
  RelayPacket packet;
  packet.track = TrackId{body.U32()};
  packet.encoding = body.U8();
  const uint8_t flags = body.U8();
  packet.sequence_number = static_cast<int64_t>(body.U64());
  packet.timestamp = static_cast<int64_t>(body.U64());
  packet.media_time = TimestampFromMicros(static_cast<int64_t>(body.U64()));
  const uint8_t level = body.U8();
  const uint8_t orientation = body.U8();
  packet.marker = (flags & kMarker) != 0;
  packet.redundant = (flags & kRedundant) != 0;
  if ((flags & kHasLevel) != 0) packet.audio_level = AudioLevel{level, (flags & kVoice) != 0};
  if ((flags & kHasOrientation) != 0) packet.video_orientation = orientation;
  packet.dependency_descriptor = body.Bytes(body.U16());
  packet.payload = body.Rest();
  return packet;
}

RelayLevels ReadLevels(ByteReader& body) {
  RelayLevels levels;
  levels.room = RoomId{body.U32()};
  while (body.ok() && body.remaining() > 0) {
    RelayLevel level;
    level.track = TrackId{body.U32()};
    level.level_dbov = body.U16() / -100.0;
    level.silent = body.U8() != 0;
    const uint16_t ago = body.U16();
    if (ago != kNeverSpoke) level.spoke_ago = std::chrono::milliseconds(ago);
    levels.levels.push_back(level);
  }
  return levels;
}

RelayChoice ReadChoice(ByteReader& body) {
  RelayChoice choice;
  choice.room = RoomId{body.U32()};
  while (body.ok() && body.remaining() > 0) choice.heard.push_back(TrackId{body.U32()});
  return choice;
}

RelayData ReadData(ByteReader& body) {
  RelayData data;
  data.room = RoomId{body.U32()};
  data.participant = ReadText(body);
  const uint8_t flags = body.U8();
  const uint32_t limit = body.U32();
  data.kind.ordered = (flags & kOrdered) != 0;
  if ((flags & kMaxRetransmits) != 0) {
    data.kind.max_retransmits = limit;
  } else if ((flags & kMaxLifetime) != 0) {
    data.kind.max_lifetime_ms = limit;
  }
  data.kind.priority = body.U16();
  data.kind.label = ReadText(body);
  data.kind.protocol = ReadText(body);
  data.message = body.Rest();
  return data;
}

// Nothing if the body is invalid. `known` is set to false for an unknown type.
std::optional<RelayMessage> ReadBody(Type type, ByteReader& body, bool& known) {
  switch (type) {
    case Type::kTrackAdded:
      return ReadTrackAdded(body);
    case Type::kTrackGone:
      return RelayTrackGone{TrackId{body.U32()}};
    case Type::kTrackMuted: {
      const TrackId track{body.U32()};
      return RelayTrackMuted{track, body.U8() != 0};
    }
    case Type::kTrackSizes: {
      const TrackId track{body.U32()};
      return RelayTrackSizes{track, ReadSizes(body)};
    }
    case Type::kSource: {
      std::optional<RelaySource> source = ReadSource(body);
      if (!source) return std::nullopt;
      return *std::move(source);
    }
    case Type::kPacket:
      return ReadPacket(body);
    case Type::kLevels:
      return ReadLevels(body);
    case Type::kChoice:
      return ReadChoice(body);
    case Type::kInterest: {
      const TrackId track{body.U32()};
      const bool wanted = body.U8() != 0;
      const uint8_t spatial = body.U8();
      return RelayInterest{track, wanted, spatial, body.U8()};
    }
    case Type::kKeyframeRequest: {
      const TrackId track{body.U32()};
      return RelayKeyframeRequest{track, body.U8()};
    }
    case Type::kData:
      return ReadData(body);
  }
  known = false;
  return std::nullopt;
}

}  // namespace

void WriteRelay(const RelayMessage& message, std::vector<uint8_t>& out) { std::visit(Writer{out}, message); }

std::optional<RelayMessage> RelayReader::Next() {
  while (!malformed_ && reader_.remaining() > 0) {
    const auto type = static_cast<Type>(reader_.U8());
    ByteReader body(reader_.Bytes(reader_.U24()));
    bool known = true;
    std::optional<RelayMessage> message = ReadBody(type, body, known);
    malformed_ = !reader_.ok() || (known && (!message || !body.ok()));
    if (!malformed_ && known) return message;
  }
  return std::nullopt;
}

}  // namespace nexus
