// Chromium's H.264 with its parameter sets sent only once: a viewer that begins at a later keyframe gets
// them, and ffmpeg can decode the stream (hard problem 20). The calls around it are in
// engine/room/parameter_sets_test.cc.
#include "engine/forward/remembered_sets.h"

#include <gtest/gtest.h>

#include "engine/forward/slot_forwarder.h"
#include "testing/elementary_stream.h"
#include "testing/ffmpeg.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

using testing::CapturedStream;
using testing::ElementaryStream;

void Add(ElementaryStream& stream, int64_t sequence, const SourcePacket& packet) {
  const std::vector<uint8_t> payload(packet.payload.begin(), packet.payload.end());
  stream.Add(sequence, {0, packet.marker, packet.frame.frame_start, payload});
}

// The capture from its first keyframe.
std::vector<SourcePacket> FromKeyframe(const CapturedStream& capture) {
  const auto key = std::find_if(capture.packets.begin(), capture.packets.end(),
                                [](const SourcePacket& packet) { return packet.frame.keyframe_start; });
  return {key, capture.packets.end()};
}

struct Layer {
  const SourcePacket* Receive(SourcePacket packet, int64_t sequence, int64_t time_step) {
    packet.sequence_number = sequence;
    packet.timestamp += time_step;
    packet.arrival = packet.media_time = packet.arrival + Duration(time_step * 100 / 9);
    packet.frame =
        inspector.Inspect(packet.payload, static_cast<uint32_t>(packet.timestamp), packet.marker, {});
    const SourcePacket* stored = nullptr;
    if (ring.Insert(packet, stored) != InsertOutcome::kStored) return nullptr;
    sets.OnPacket(ring, *ring.FindToCorrect(sequence));
    return stored;
  }
  PayloadInspector inspector{Codec::kH264};
  PacketRing ring{PacketRingConfig{}};
  RememberedSets sets;
};

TEST(RememberedSets, AStreamThatBeginsWithThemCanBeDecoded) {
  NEXUS_LOAD_CAPTURE(datagrams, "h264.pcap");
  if (!testing::HasFfmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const CapturedStream capture = testing::LoadStream(datagrams, Codec::kH264);
  const std::vector<SourcePacket> packets = FromKeyframe(capture);
  ASSERT_FALSE(packets.empty());
  ElementaryStream plain(Codec::kH264);
  for (const SourcePacket& packet : packets) Add(plain, packet.sequence_number, packet);

  // The capture twice, the second time without parameter sets; a viewer watches only that one.
  Layer layer;
  ElementaryStream watched(Codec::kH264);
  SlotForwarder slot({true, 90'000, 0x7FF0, 0xFFFFF000, TimestampFromMicros(0)});
  int64_t closed = 0;  // numbers of the parameter sets that were removed
  const int64_t again = packets.back().sequence_number - packets.front().sequence_number + 1;
  const int64_t later = packets.back().timestamp - packets.front().timestamp + 3'000;
  for (const SourcePacket& packet : packets) layer.Receive(packet, packet.sequence_number, 0);
  slot.Bind({LayerId{1}, 1, Codec::kH264});
  size_t given = 0;
  for (const SourcePacket& packet : packets) {
    const auto content = ParseH264Payload(packet.payload);
    if (content && content->has_sps && !content->idr_start) {
      ++closed;
      continue;
    }
    const SourcePacket* stored = layer.Receive(packet, packet.sequence_number + again - closed, later);
    ASSERT_NE(stored, nullptr);
    const auto out = slot.Forward(LayerId{1}, *stored);
    if (!out) continue;
    if (out->sets_in_front) {
      ++given;
      const SourcePacket* sets = layer.sets.packet();
      ASSERT_NE(sets, nullptr);
      EXPECT_EQ(layer.sets.Find(sets->sequence_number), sets);
      Add(watched, out->sequence_number - 1, *sets);
    }
    Add(watched, out->sequence_number, *stored);
  }
  EXPECT_GT(closed, 0);
  EXPECT_EQ(given, static_cast<size_t>(closed));
  testing::Decoded expected;
  testing::Decoded decoded;
  const size_t frames = testing::WriteAndDecode(plain, "h264", expected);
  EXPECT_EQ(testing::WriteAndDecode(watched, "h264", decoded), frames);
  EXPECT_GT(expected.frames, 12u);
  EXPECT_EQ(decoded.frames, expected.frames);
  EXPECT_EQ(decoded.errors.empty(), expected.errors.empty()) << decoded.errors;
}

}  // namespace
}  // namespace nexus
