// Relay messages are read back as they were written, and a full queue drops only media and data.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/relay/relay_outbox.h"

namespace nexus {
namespace {

template <class Message>
Message RoundTrip(const Message& message) {
  std::vector<uint8_t> bytes;
  WriteRelay(message, bytes);
  RelayReader reader(bytes);
  const auto read = reader.Next();
  EXPECT_TRUE(read && std::holds_alternative<Message>(*read));
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.malformed());
  // Cut anywhere, it is not a valid message and `malformed` is set. The caller compares the bytes of views,
  // so no cut is kept.
  for (size_t size = 1; size < bytes.size(); ++size) {
    RelayReader cut(ByteView(bytes).first(size));
    EXPECT_FALSE(cut.Next());
    EXPECT_TRUE(cut.malformed()) << size;
  }
  return std::get<Message>(*read);
}

TEST(RelayMessage, KeepsATrack) {
  RelayTrackAdded added{RoomId{7},
                        TrackId{0xFFFFFFFF},
                        TransportId{3},
                        true,
                        true,
                        1,
                        99,
                        3,
                        {"q", "h", "f"},
                        {{320, 180}, {640, 360}, {1280, 720}}};
  const RelayTrackAdded read = RoundTrip(added);
  EXPECT_EQ(read.room, added.room);
  EXPECT_EQ(read.track, added.track);
  EXPECT_EQ(read.publisher, added.publisher);
  EXPECT_TRUE(read.video && read.muted);
  EXPECT_EQ(read.group, 1);
  EXPECT_EQ(read.number, 99u);
  EXPECT_EQ(read.encodings, 3);
  EXPECT_EQ(read.rids, added.rids);
  EXPECT_EQ(read.sizes, added.sizes);
  EXPECT_EQ(RoundTrip(RelayTrackGone{TrackId{5}}).track, TrackId{5});
  EXPECT_TRUE(RoundTrip(RelayTrackMuted{TrackId{5}, true}).muted);
  const RelayTrackSizes sizes = RoundTrip(RelayTrackSizes{TrackId{5}, {{320, 240}, {640, 480}}});
  EXPECT_EQ(sizes.track, TrackId{5});
  EXPECT_EQ(sizes.sizes, (std::vector<PictureSize>{{320, 240}, {640, 480}}));
}

TEST(RelayMessage, KeepsASource) {
  RelaySource source{TrackId{1}, 2, 77, Codec::kH264, PayloadType{102}, 90'000, 0x42E01F, 1, 0, "h"};
  EXPECT_EQ(RoundTrip(source), source);
  source.h264_profile_level_id.reset();
  EXPECT_EQ(RoundTrip(source), source);
}

TEST(RelayMessage, KeepsAPacketToTheByte) {
  const std::vector<uint8_t> payload = {1, 2, 3, 4};
  const std::vector<uint8_t> descriptor = {9, 8};
  RelayPacket packet;
  packet.track = TrackId{4};
  packet.encoding = 2;
  packet.sequence_number = -5;
  packet.timestamp = int64_t{1} << 40;
  packet.media_time = TimestampFromMicros(123'456);
  packet.marker = true;
  packet.audio_level = AudioLevel{33, true};
  packet.video_orientation = 3;
  packet.payload = payload;
  packet.dependency_descriptor = descriptor;
  std::vector<uint8_t> bytes;
  WriteRelay(packet, bytes);
  RelayReader reader(bytes);
  const auto message = reader.Next();
  ASSERT_TRUE(message);
  const auto& read = std::get<RelayPacket>(*message);
  EXPECT_EQ(read.sequence_number, -5);
  EXPECT_EQ(read.timestamp, packet.timestamp);
  EXPECT_EQ(read.media_time, packet.media_time);
  EXPECT_TRUE(read.marker && !read.redundant);
  EXPECT_EQ(read.audio_level, packet.audio_level);
  EXPECT_EQ(read.video_orientation, packet.video_orientation);
  EXPECT_TRUE(std::equal(read.payload.begin(), read.payload.end(), payload.begin(), payload.end()));
  EXPECT_TRUE(std::equal(read.dependency_descriptor.begin(), read.dependency_descriptor.end(),
                         descriptor.begin(), descriptor.end()));
}

TEST(RelayMessage, KeepsLevelsAndChoices) {
  const RelayLevels levels{
      RoomId{1}, {{TrackId{2}, -20.25, false, std::chrono::milliseconds(120)}, {TrackId{3}, -127, true, {}}}};
  std::vector<uint8_t> bytes;
  WriteRelay(levels, bytes);
  WriteRelay(RelayChoice{RoomId{1}, {TrackId{3}, TrackId{2}}}, bytes);
  RelayReader reader(bytes);
  EXPECT_EQ(std::get<RelayLevels>(*reader.Next()).levels, levels.levels);
  EXPECT_EQ(std::get<RelayChoice>(*reader.Next()).heard, (std::vector<TrackId>{TrackId{3}, TrackId{2}}));
  EXPECT_TRUE(RoundTrip(RelayInterest{TrackId{9}, true}).wanted);
  EXPECT_EQ(RoundTrip(RelayKeyframeRequest{TrackId{9}, 3}).encoding, 3);
}

TEST(RelayMessage, KeepsDataAndItsChannel) {
  const std::vector<uint8_t> envelope{1, 2, 3};
  const DataChannelOptions kinds[] = {
      {},
      {.ordered = false, .max_retransmits = 0, .priority = 1, .label = "chat", .protocol = "nexus.data.v1"},
      {.max_lifetime_ms = 250},
  };
  for (const DataChannelOptions& kind : kinds) {
    RelayData data{RoomId{7}, "PA_a", kind, envelope};
    std::vector<uint8_t> bytes;
    WriteRelay(data, bytes);
    RelayReader reader(bytes);
    const auto read = reader.Next();
    ASSERT_TRUE(read);
    const auto& got = std::get<RelayData>(*read);
    EXPECT_EQ(got.room, data.room);
    EXPECT_EQ(got.participant, "PA_a");
    EXPECT_EQ(got.kind, kind);
    EXPECT_TRUE(std::ranges::equal(got.message, envelope));
  }
}

TEST(RelayMessage, SkipsTypesOfLaterVersions) {
  std::vector<uint8_t> bytes = {200, 0, 0, 3, 1, 2, 3};
  WriteRelay(RelayTrackGone{TrackId{5}}, bytes);
  RelayReader reader(bytes);
  EXPECT_EQ(std::get<RelayTrackGone>(*reader.Next()).track, TrackId{5});
  EXPECT_FALSE(reader.malformed());
}

TEST(RelayMessage, RejectsASourceWithoutAClockRate) {
  RelaySource source{TrackId{1}, 0, 1, Codec::kVp8, PayloadType{96}, 0, {}, 0, 0, ""};
  std::vector<uint8_t> bytes;
  WriteRelay(source, bytes);
  RelayReader no_clock_rate(bytes);
  EXPECT_FALSE(no_clock_rate.Next());
  EXPECT_TRUE(no_clock_rate.malformed());
}

TEST(RelayOutbox, DropsOnlyPacketsWhileTheQueueIsFull) {
  RelayOutbox outbox;
  outbox.SetCongested(2, true);
  EXPECT_FALSE(outbox.SendBulk(2, RelayPacket{}));
  EXPECT_TRUE(outbox.empty());
  outbox.Send(2, RelayTrackGone{TrackId{1}});
  EXPECT_TRUE(outbox.SendBulk(1, RelayPacket{}));
  EXPECT_EQ(outbox.Poll()->to, 1);
  EXPECT_EQ(outbox.Poll()->to, 2);
  EXPECT_FALSE(outbox.Poll());
  const std::vector<uint8_t> payload(1'000);
  RelayPacket packet;
  packet.payload = payload;
  size_t sent = 0;
  while (outbox.SendBulk(1, packet)) ++sent;
  EXPECT_GT(sent, 8'000u);
  EXPECT_LT(sent, 9'000u);
}

}  // namespace
}  // namespace nexus
