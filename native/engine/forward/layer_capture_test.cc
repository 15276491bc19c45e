// Browsers' recorded streams through a slot that switches between two sources and changes layers, decoded by
// ffmpeg without errors and without missing frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "engine/forward/assembler.h"
#include "engine/forward/slot_forwarder.h"
#include "engine/rtp/rtp_packet.h"
#include "testing/elementary_stream.h"
#include "testing/ffmpeg.h"
#include "testing/random.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

using testing::CapturedStream;
using testing::Decoded;
using testing::ElementaryStream;
using testing::Random;

struct CaptureFile {
  const char* name;
  const char* extension;
  Codec codec;
};
constexpr CaptureFile kFiles[] = {{"vp8.pcap", "ivf", Codec::kVp8},
                                  {"vp9.pcap", "ivf", Codec::kVp9},
                                  {"h264.pcap", "h264", Codec::kH264},
                                  {"av1.pcap", "ivf", Codec::kAv1}};

// The packet as sent to the subscriber with its header, parsed again.
void Send(const SourcePacket& packet, const Rewritten& out, ElementaryStream& stream) {
  std::array<uint8_t, kAssemblySize> scratch;
  OutgoingStream settings;
  settings.ssrc = Ssrc{77};
  settings.payload_type = PayloadType{96};
  settings.video = true;
  settings.ids.Set(RtpExtension::kDependencyDescriptor, 5);
  const OutgoingPacket pieces = AssembleMedia(scratch, settings, {}, packet, out);
  std::vector<uint8_t> bytes(pieces.header.begin(), pieces.header.end());
  bytes.insert(bytes.end(), pieces.prefix.begin(), pieces.prefix.end());
  bytes.insert(bytes.end(), pieces.rest.begin(), pieces.rest.end());
  const auto view = ParseRtp(bytes);
  ASSERT_TRUE(view);
  stream.Add(out.sequence_number, {view->header().timestamp,
                                   view->header().marker,
                                   packet.frame.frame_start,
                                   {view->payload().begin(), view->payload().end()}});
}

class LayerCapture : public ::testing::TestWithParam<CaptureFile> {};

TEST_P(LayerCapture, CanBeDecodedThroughSwitches) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().name);
  if (!testing::HasFfmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  CapturedStream loaded = testing::LoadStream(capture, GetParam().codec);
  if (GetParam().codec == Codec::kAv1) loaded = testing::WithDescriptors(std::move(loaded));
  const auto key = std::find_if(loaded.packets.begin(), loaded.packets.end(),
                                [](const SourcePacket& packet) { return packet.frame.keyframe_start; });
  ASSERT_NE(key, loaded.packets.end());
  const std::vector<SourcePacket> packets(key, loaded.packets.end());
  ElementaryStream untouched(GetParam().codec);
  for (const SourcePacket& packet : packets) {
    untouched.Add(
        packet.sequence_number,
        {0, packet.marker, packet.frame.frame_start, {packet.payload.begin(), packet.payload.end()}});
  }
  Decoded plain;
  const size_t plain_frames = testing::WriteAndDecode(untouched, GetParam().extension, plain);
  ASSERT_GT(plain_frames, 12u);
  ASSERT_GT(plain.frames, 12u);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    ElementaryStream stream(GetParam().codec);
    SlotForwarder slot({true, 90'000, 0x7FF0, 0xFFFFF000, TimestampFromMicros(0)});
    Timestamp begin = TimestampFromMicros(10'000'000);
    for (uint32_t binding = 1; binding <= 12; ++binding) {
      slot.Bind({LayerId{binding}, binding, GetParam().codec});
      const size_t count = 1 + random.Below(packets.size());
      Timestamp last = begin;
      for (size_t i = 0; i < count; ++i) {
        SourcePacket packet = packets[i];
        packet.media_time = begin + Duration((packet.timestamp - packets[0].timestamp) * 100 / 9);
        packet.arrival = last = packet.media_time;
        packet.sequence_number += 65'536 + int64_t{binding} * 3'210;
        packet.timestamp += int64_t{binding} * 0x1234567;
        if (random.Percent(5)) {
          slot.SetLimit({static_cast<uint8_t>(random.Below(3)), static_cast<uint8_t>(random.Below(3))});
        }
        const auto out = slot.Forward(LayerId{binding}, packet);
        if (!out) continue;
        ASSERT_NO_FATAL_FAILURE(Send(packet, *out, stream));
      }
      begin = last + Duration(40'000);
    }
    Decoded decoded;
    const size_t frames = testing::WriteAndDecode(stream, GetParam().extension, decoded);
    // The H.264 capture lacks packets itself, so its own errors remain, but no others may appear.
    if (plain.errors.empty()) {
      EXPECT_EQ(decoded.errors, "");
    }
    EXPECT_GT(frames, 12u);
    // Frames that are not shown (VP8's alternate reference) and reordering at a switch cost a few frames, but
    // no errors.
    EXPECT_GE(decoded.frames + 12, frames * plain.frames / plain_frames);
  }
}

INSTANTIATE_TEST_SUITE_P(Captures, LayerCapture, ::testing::ValuesIn(kFiles),
                         [](const auto& info) { return std::string(CodecName(info.param.codec)); });

}  // namespace
}  // namespace nexus
