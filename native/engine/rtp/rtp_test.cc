// RTP: parsing with invalid lengths, both extension forms, padding, RTX, and the header sent to subscribers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "engine/rtp/rtp_writer.h"
#include "engine/rtp/rtx.h"
#include "testing/pcap.h"
#include "testing/random.h"

namespace nexus {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Packet(uint8_t first, Bytes rest) {
  Bytes packet = {first, 0xE0, 0x12, 0x34, 0, 0, 0, 7, 0xAA, 0xBB, 0xCC, 0xDD};
  packet.insert(packet.end(), rest.begin(), rest.end());
  return packet;
}

TEST(RtpParse, ReadsTheFixedHeader) {
  const Bytes packet = Packet(0x80, {1, 2, 3});
  const auto view = ParseRtp(packet);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->header().marker);
  EXPECT_EQ(view->header().payload_type.value, 0x60);
  EXPECT_EQ(view->header().sequence_number, 0x1234);
  EXPECT_EQ(view->header().timestamp, 7u);
  EXPECT_EQ(view->header().ssrc.value, 0xAABBCCDDu);
  EXPECT_EQ(Bytes(view->payload().begin(), view->payload().end()), (Bytes{1, 2, 3}));
}

TEST(RtpParse, RejectsOtherVersionsAndTruncatedHeaders) {
  EXPECT_FALSE(ParseRtp(Packet(0x40, {})));
  const Bytes whole = Packet(0x92, {0, 0, 0, 1, 0, 0, 0, 2, 0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0});
  ASSERT_TRUE(ParseRtp(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseRtpHeader(ByteView(whole).first(size))) << size;
  }
}

TEST(RtpParse, FindsCsrcs) {
  const Bytes packet = Packet(0x82, {0, 0, 0, 1, 0, 0, 0, 2, 9});
  const auto kept = ParseRtp(packet);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->csrc(0), 1u);
  EXPECT_EQ(kept->csrc(1), 2u);
  EXPECT_EQ(kept->csrc(2), 0u);
}

// Hard problem 25: one-byte and two-byte extensions.
TEST(RtpExtensions, OneByteForm) {
  // id 1 of one byte, padding, id 2 of three bytes, id 15 ends the block
  const Bytes packet = Packet(0x90, {0xBE, 0xDE, 0, 3, 0x10, 0xAA, 0, 0x22, 1, 2, 3, 0xF0, 0x30, 1, 1, 1});
  const auto view = ParseRtp(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->FindExtension(1)->size(), 1u);
  EXPECT_EQ((*view->FindExtension(2))[2], 3);
  EXPECT_FALSE(view->FindExtension(3));
  EXPECT_FALSE(view->FindExtension(0));
}

TEST(RtpExtensions, TwoByteForm) {
  const Bytes packet = Packet(0x90, {0x10, 0x05, 0, 3, 20, 0, 1, 2, 7, 8, 0, 200, 1, 9, 0, 0});
  const auto view = ParseRtp(packet);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->FindExtension(20)->empty());
  EXPECT_EQ((*view->FindExtension(1))[1], 8);
  EXPECT_EQ((*view->FindExtension(200))[0], 9);
}

TEST(RtpExtensions, AnElementThatDoesNotFitEndsTheBlock) {
  const Bytes packet = Packet(0x90, {0xBE, 0xDE, 0, 1, 0x10, 0xAA, 0x2F, 1});
  const auto view = ParseRtp(packet);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->FindExtension(1));
  EXPECT_FALSE(view->FindExtension(2));
}

TEST(RtpExtensions, IgnoresABlockOfAnUnknownProfile) {
  const Bytes packet = Packet(0x90, {0x12, 0x34, 0, 1, 0x10, 0xAA, 0, 0});
  const auto view = ParseRtp(packet);
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->FindExtension(1));
}

// Hard problem 4: padding counts of zero and above the size are errors; a padding-only packet has an empty
// payload.
TEST(RtpPadding, IsChecked) {
  const Bytes good = Packet(0xA0, {5, 0, 0, 3});
  ASSERT_TRUE(ParseRtp(good));
  EXPECT_EQ(ParseRtp(good)->payload().size(), 1u);
  EXPECT_FALSE(ParseRtp(Packet(0xA0, {5, 0, 0, 0})));
  EXPECT_FALSE(ParseRtp(Packet(0xA0, {5, 0, 0, 5})));
  EXPECT_FALSE(ParseRtp(Packet(0xA0, {})));
  const Bytes probe = Packet(0xA0, {0, 0, 0, 4});
  ASSERT_TRUE(ParseRtp(probe));
  EXPECT_TRUE(ParseRtp(probe)->payload().empty());
}

TEST(RtpPadding, IsNotCheckedBeforeThePacketIsOpened) {
  const auto header = ParseRtpHeader(Packet(0xA0, {0xFF, 0xFF, 0xFF, 0xFF}));
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->padding);
  EXPECT_EQ(header->header_size, 12);
}

TEST(RtpExtensionUris, MapBothWays) {
  for (size_t i = 0; i < kRtpExtensionCount; ++i) {
    const auto extension = static_cast<RtpExtension>(i);
    EXPECT_EQ(RtpExtensionFromUri(RtpExtensionUri(extension)), extension);
  }
  EXPECT_FALSE(RtpExtensionFromUri("urn:nothing"));
}

TEST(RtpExtensionValues, AreBounded) {
  EXPECT_FALSE(ParseAudioLevel({}));
  EXPECT_EQ(ParseAudioLevel(Bytes{0x85}), (AudioLevel{5, true}));
  EXPECT_FALSE(ParseTransportSequenceNumber(Bytes{1}));
  EXPECT_EQ(ParseTransportSequenceNumber(Bytes{1, 2}), 0x0102);
  EXPECT_FALSE(ParseAbsSendTime(Bytes{1, 2}));
  EXPECT_EQ(ParseExtensionText(Bytes{'h', 'i'}), "hi");
  EXPECT_EQ(ParseExtensionText(Bytes{'h', 0}), "");
  // 6.18 fixed point: 1.5 s, and 64 s wraps to zero
  EXPECT_EQ(AbsSendTimeAt(TimestampFromMicros(1'500'000)), 0x60000u);
  EXPECT_EQ(AbsSendTimeAt(TimestampFromMicros(64'000'000)), 0u);
}

OutgoingRtpHeader VideoHeader() {
  OutgoingRtpHeader header;
  header.marker = true;
  header.payload_type = PayloadType{96};
  header.sequence_number = 0xFFFF;
  header.timestamp = 0x01020304;
  header.ssrc = Ssrc{0x11223344};
  header.csrc = 77;
  header.video = true;
  header.ids.Set(RtpExtension::kAbsSendTime, 3);
  header.ids.Set(RtpExtension::kTransportSequenceNumber, 5);
  header.ids.Set(RtpExtension::kVideoOrientation, 11);
  header.abs_send_time = 0xABCDEF;
  header.transport_sequence_number = 0x4321;
  return header;
}

TEST(RtpWriter, WritesOneCsrcAndTheSubscribersIds) {
  OutgoingRtpHeader header = VideoHeader();
  header.video_orientation = 2;
  std::array<uint8_t, kMaxRtpHeaderSize> buffer;
  const size_t size = WriteRtpHeader(buffer, header);
  ASSERT_GT(size, 0u);
  const auto view = ParseRtp(ByteView(buffer).first(size));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header().csrc_count, 1);
  EXPECT_EQ(view->csrc(0), 77u);
  EXPECT_FALSE(view->header().padding);
  EXPECT_TRUE(view->header().marker);
  EXPECT_EQ(view->header().sequence_number, 0xFFFF);
  EXPECT_EQ(view->header().timestamp, 0x01020304u);
  EXPECT_EQ(ParseAbsSendTime(*view->FindExtension(3)), 0xABCDEFu);
  EXPECT_EQ(ParseTransportSequenceNumber(*view->FindExtension(5)), 0x4321);
  EXPECT_EQ((*view->FindExtension(11))[0], 2);
}

// GSO runs need equal lengths: the space of an absent element is reserved.
TEST(RtpWriter, KeepsTheBlockLengthConstant) {
  std::array<uint8_t, kMaxRtpHeaderSize> buffer;
  OutgoingRtpHeader header = VideoHeader();
  const size_t without = WriteRtpHeader(buffer, header);
  EXPECT_FALSE(ParseRtp(ByteView(buffer).first(without))->FindExtension(11));
  header.video_orientation = 1;
  EXPECT_EQ(WriteRtpHeader(buffer, header), without);
  OutgoingRtpHeader audio;
  audio.ids.Set(RtpExtension::kAudioLevel, 1);
  const size_t silent = WriteRtpHeader(buffer, audio);
  audio.audio_level = AudioLevel{30, true};
  EXPECT_EQ(WriteRtpHeader(buffer, audio), silent);
  EXPECT_EQ(ParseAudioLevel(*ParseRtp(ByteView(buffer).first(silent))->FindExtension(1)),
            (AudioLevel{30, true}));
}

TEST(RtpWriter, UsesTheTwoByteFormForLongDescriptorsAndHighIds) {
  std::array<uint8_t, kMaxRtpHeaderSize> buffer;
  OutgoingRtpHeader header = VideoHeader();
  header.ids.Set(RtpExtension::kDependencyDescriptor, 12);
  const Bytes descriptor(40, 0x5A);
  header.dependency_descriptor = descriptor;
  size_t size = WriteRtpHeader(buffer, header);
  auto view = ParseRtp(ByteView(buffer).first(size));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header().extension_profile, kTwoByteExtensionProfile);
  EXPECT_EQ(view->FindExtension(12)->size(), 40u);
  EXPECT_EQ(ParseTransportSequenceNumber(*view->FindExtension(5)), 0x4321);

  header.dependency_descriptor = ByteView(descriptor).first(16);
  size = WriteRtpHeader(buffer, header);
  view = ParseRtp(ByteView(buffer).first(size));
  EXPECT_EQ(view->header().extension_profile, kOneByteExtensionProfile);
  EXPECT_EQ(view->FindExtension(12)->size(), 16u);

  header.dependency_descriptor = {};
  header.ids.Set(RtpExtension::kTransportSequenceNumber, 30);
  size = WriteRtpHeader(buffer, header);
  view = ParseRtp(ByteView(buffer).first(size));
  EXPECT_EQ(ParseTransportSequenceNumber(*view->FindExtension(30)), 0x4321);
}

TEST(RtpWriter, WritesNoBlockIfNothingIsNegotiated) {
  std::array<uint8_t, kMaxRtpHeaderSize> buffer;
  const size_t size = WriteRtpHeader(buffer, OutgoingRtpHeader{});
  EXPECT_EQ(size, 16u);
  EXPECT_EQ(ParseRtp(ByteView(buffer).first(size))->header().extension_profile, 0);
}

TEST(RtpWriter, FailsIfTheBufferIsTooSmall) {
  std::array<uint8_t, kMaxRtpHeaderSize> buffer;
  const size_t size = WriteRtpHeader(buffer, VideoHeader());
  for (size_t room = 0; room < size; ++room) {
    EXPECT_EQ(WriteRtpHeader(MutableByteView(buffer).first(room), VideoHeader()), 0u) << room;
  }
}

// Hard problem 5: the original is restored byte by byte, without the retransmission's padding.
TEST(Rtx, RestoresTheOriginal) {
  const Bytes extension = {0xBE, 0xDE, 0, 1, 0x31, 0x12, 0x34, 0};
  Bytes rtx = Packet(0xB0, extension);
  rtx.insert(rtx.end(), {0xFF, 0xFE, 1, 2, 3, 0, 0, 3});
  Bytes original = Packet(0x90, extension);
  original.insert(original.end(), {1, 2, 3});
  original[1] = 0x80 | 100;
  original[2] = 0xFF;
  original[3] = 0xFE;
  original[8] = 1;
  original[9] = 2;
  original[10] = 3;
  original[11] = 4;
  const auto view = ParseRtp(rtx);
  ASSERT_TRUE(view);
  EXPECT_EQ(ParseRtxOriginalSequence(*view), 0xFFFE);
  std::array<uint8_t, 1500> buffer;
  const size_t size = RestoreFromRtx(*view, Ssrc{0x01020304}, PayloadType{100}, buffer);
  EXPECT_EQ(Bytes(buffer.begin(), buffer.begin() + static_cast<long>(size)), original);
  EXPECT_EQ(RestoreFromRtx(*view, Ssrc{1}, PayloadType{100}, MutableByteView(buffer).first(size - 1)), 0u);
}

TEST(Rtx, ProbesContainNoOriginal) {
  std::array<uint8_t, 1500> buffer;
  const Bytes empty = Packet(0x80, {});
  const Bytes padding = Packet(0xA0, {0, 0, 0, 4});
  const Bytes number_only = Packet(0x80, {1, 2});
  for (const Bytes* packet : {&empty, &padding, &number_only}) {
    const auto view = ParseRtp(*packet);
    ASSERT_TRUE(view);
    EXPECT_EQ(RestoreFromRtx(*view, Ssrc{1}, PayloadType{100}, buffer), 0u);
  }
}

// Hard problem 24: inputs that crashed other parsers.
TEST(RtpParse, SurvivesTheCorpus) {
  NEXUS_LOAD_CAPTURE(unused, "vp8.pcap");
  size_t files = 0;
  size_t parsed = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(*unused_data / "corpora" / "rtp_fuzzer")) {
    if (!file.is_regular_file()) continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const Bytes bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    ++files;
    const auto view = ParseRtp(bytes);
    if (!view) continue;
    ++parsed;
    RtpExtensionReader reader = view->extensions();
    while (reader.Next()) {
    }
    EXPECT_EQ(view->header().header_size + view->payload().size() + view->padding_size(), bytes.size());
  }
  EXPECT_GT(files, 20u);
  EXPECT_GT(parsed, 0u);
}

// For any input, views stay inside the packet.
TEST(RtpParse, SurvivesRandomBytes) {
  testing::Random random(1);
  size_t parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes packet(random.Below(80));
    for (uint8_t& byte : packet) byte = static_cast<uint8_t>(random.Next());
    if (!packet.empty()) packet[0] = static_cast<uint8_t>(0x80 | (packet[0] & 0x33));
    const auto view = ParseRtp(packet);
    if (!view) continue;
    ++parsed;
    size_t sum = 0;
    RtpExtensionReader reader = view->extensions();
    while (const auto element = reader.Next()) {
      for (const uint8_t byte : element->value) sum += byte;
    }
    for (const uint8_t byte : view->payload()) sum += byte;
    std::array<uint8_t, 100> buffer;
    EXPECT_LE(RestoreFromRtx(*view, Ssrc{sum > 0 ? 1u : 2u}, PayloadType{1}, buffer), packet.size());
  }
  EXPECT_GT(parsed, 100u);
}

}  // namespace
}  // namespace nexus
