// Codecs as browsers send them: recorded captures pass through the inspectors.
#include <gtest/gtest.h>

#include "engine/codec/payload_rewriter.h"
#include "engine/codec/picture_size.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

TEST(CodecNames, MapBothWays) {
  for (const Codec codec : {Codec::kOpus, Codec::kVp8, Codec::kVp9, Codec::kH264, Codec::kAv1}) {
    EXPECT_EQ(CodecFromName(CodecName(codec)), codec);
  }
  EXPECT_EQ(CodecFromName("vp8"), Codec::kVp8);
  EXPECT_FALSE(CodecFromName("red"));
}

// Whatever the size, the header has tag, start code, and sizes with two bits of scale above them.
TEST(KeyframeSize, IsReadFromVp8AndVp9) {
  const std::vector<uint8_t> vp8 = {0x10, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x42, 0xE0, 0x01, 0x00};
  PayloadInspector inspector(Codec::kVp8);
  EXPECT_EQ(KeyframeSize(vp8, inspector.Inspect(vp8, 0, false, {})), (PictureSize{640, 480}));
  for (size_t size = 2; size < 11; ++size) {
    const ByteView part = ByteView(vp8).first(size);
    EXPECT_FALSE(KeyframeSize(part, inspector.Inspect(part, 0, false, {}))) << size;
  }
  std::vector<uint8_t> encrypted = vp8;
  encrypted[5] = 0x77;
  EXPECT_FALSE(KeyframeSize(encrypted, inspector.Inspect(encrypted, 0, false, {})));
  std::vector<uint8_t> later = vp8;
  later[1] |= 1;  // not a keyframe
  EXPECT_FALSE(KeyframeSize(later, inspector.Inspect(later, 0, false, {})));

  // Two spatial layers, 320x180 and 640x360.
  const std::vector<uint8_t> vp9 = {0x0A, 0x30, 0x01, 0x40, 0x00, 0xB4, 0x02, 0x80, 0x01, 0x68, 0xAA};
  PayloadInspector scalable(Codec::kVp9);
  EXPECT_EQ(KeyframeSize(vp9, scalable.Inspect(vp9, 0, false, {})), (PictureSize{640, 360}));
}

struct Seen {
  size_t packets = 0;
  size_t keyframes = 0;
  size_t frames = 0;
  size_t described = 0;
  bool first_is_keyframe = false;
};

Seen Look(const testing::CapturedStream& stream) {
  Seen seen;
  for (const SourcePacket& packet : stream.packets) {
    if (seen.packets++ == 0) seen.first_is_keyframe = packet.frame.keyframe_start;
    seen.keyframes += packet.frame.keyframe_start;
    seen.frames += packet.frame.frame_start;
    seen.described += packet.frame.descriptor.index() != 0 || packet.frame.dependency;
  }
  return seen;
}

TEST(Captures, Vp8) {
  NEXUS_LOAD_CAPTURE(capture, "vp8.pcap");
  const Seen seen = Look(testing::LoadStream(capture, Codec::kVp8));
  EXPECT_EQ(seen.packets, 104u);
  EXPECT_EQ(seen.described, seen.packets);
  EXPECT_GE(seen.keyframes, 1u);
  EXPECT_LT(seen.keyframes, seen.frames);
}

TEST(Captures, Vp9) {
  NEXUS_LOAD_CAPTURE(capture, "vp9.pcap");
  const Seen seen = Look(testing::LoadStream(capture, Codec::kVp9));
  EXPECT_EQ(seen.described, seen.packets);
  EXPECT_TRUE(seen.first_is_keyframe);
  EXPECT_LT(seen.keyframes, 10u);
}

TEST(Captures, H264BeginsAtItsParameterSets) {
  NEXUS_LOAD_CAPTURE(capture, "h264.pcap");
  const auto stream = testing::LoadStream(capture, Codec::kH264);
  const Seen seen = Look(stream);
  EXPECT_TRUE(seen.first_is_keyframe);
  EXPECT_GE(seen.keyframes, 2u);
  for (const SourcePacket& packet : stream.packets) {
    if (packet.frame.keyframe_start) {
      EXPECT_TRUE(ParseH264Payload(packet.payload)->has_sps);
    }
  }
}

TEST(Captures, Av1WithAndWithoutDependencyDescriptors) {
  NEXUS_LOAD_CAPTURE(capture, "av1.pcap");
  auto stream = testing::LoadStream(capture, Codec::kAv1);
  const Seen bare = Look(stream);
  EXPECT_TRUE(bare.first_is_keyframe);
  EXPECT_LT(bare.keyframes, bare.frames);
  EXPECT_EQ(bare.described, 0u);
  const Seen described = Look(testing::WithDescriptors(std::move(stream)));
  EXPECT_EQ(described.described, described.packets);
  EXPECT_EQ(described.keyframes, bare.keyframes);
  EXPECT_EQ(described.frames, bare.frames);
}

// Hard problem 24: no payload causes a read outside of itself, whatever the codec.
TEST(PayloadInspector, SurvivesTruncationOfEveryPacket) {
  for (const auto& [name, codec] :
       {std::pair{"vp8.pcap", Codec::kVp8}, std::pair{"vp9.pcap", Codec::kVp9},
        std::pair{"h264.pcap", Codec::kH264}, std::pair{"av1.pcap", Codec::kAv1}}) {
    NEXUS_LOAD_CAPTURE(capture, name);
    const auto stream = testing::LoadStream(capture, codec);
    PayloadInspector inspector(codec);
    PayloadRewriter rewriter;
    rewriter.Bind(codec);
    for (const SourcePacket& packet : stream.packets) {
      for (size_t size = 0; size < std::min<size_t>(packet.payload.size(), 40); ++size) {
        // A copy of exactly this size, so that the sanitizer detects an overrun.
        const std::vector<uint8_t> cut(packet.payload.begin(),
                                       packet.payload.begin() + static_cast<long>(size));
        const FrameInfo frame = inspector.Inspect(cut, 1, false, {});
        const CodecPatch patch = rewriter.Rewrite(frame, cut);
        ASSERT_LE(patch.replaces, size);
      }
    }
  }
}

TEST(Opus, ShortPacketsAreDtx) {
  PayloadInspector inspector(Codec::kOpus);
  const std::vector<uint8_t> silence = {0xF8};
  const std::vector<uint8_t> speech = {0x78, 1, 2, 3};
  EXPECT_TRUE(inspector.Inspect(silence, 0, false, {}).dtx);
  const FrameInfo frame = inspector.Inspect(speech, 0, false, {});
  EXPECT_FALSE(frame.dtx);
  EXPECT_TRUE(frame.keyframe_start);
  EXPECT_FALSE(inspector.Inspect({}, 0, false, {}).keyframe_start);
}

}  // namespace
}  // namespace nexus
