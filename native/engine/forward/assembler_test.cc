// Hard problem 5: the packet on the wire and its retransmission are equal byte by byte, also across a rebind.
#include "engine/forward/assembler.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/forward/slot_history.h"
#include "testing/rtp_capture.h"

namespace nexus {
namespace {

std::vector<uint8_t> Bytes(const OutgoingPacket& packet) {
  std::vector<uint8_t> bytes(packet.header.begin(), packet.header.end());
  bytes.insert(bytes.end(), packet.prefix.begin(), packet.prefix.end());
  bytes.insert(bytes.end(), packet.rest.begin(), packet.rest.end());
  return bytes;
}

OutgoingStream Stream() {
  OutgoingStream stream{Ssrc{0xA1A2A3A4}, PayloadType{100}, Ssrc{0xB1B2B3B4}, PayloadType{101}, true, {}};
  stream.ids.Set(RtpExtension::kAbsSendTime, 2);
  stream.ids.Set(RtpExtension::kTransportSequenceNumber, 3);
  stream.ids.Set(RtpExtension::kVideoOrientation, 5);
  stream.ids.Set(RtpExtension::kDependencyDescriptor, 9);
  return stream;
}

class Assembly : public ::testing::TestWithParam<std::pair<const char*, Codec>> {};

TEST_P(Assembly, RetransmissionsAreByteExactAcrossARebind) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().first);
  const Codec codec = GetParam().second;
  auto loaded = testing::LoadStream(capture, codec);
  if (codec == Codec::kAv1) loaded = testing::WithDescriptors(std::move(loaded));
  SlotForwarder slot({true, 90'000, 0x7F00, 5, {}});
  SlotHistory history({2048, 5, Duration(0), 2048});  // the VP9 capture has gaps of its own
  PacketRing first_ring({1024, Duration(1'000'000'000)});
  PacketRing second_ring({1024, Duration(1'000'000'000)});
  std::map<uint32_t, PacketRing*> rings = {{1, &first_ring}, {2, &second_ring}};
  std::map<int64_t, std::vector<uint8_t>> wire;
  const Transmission transmission{0x123456, 0x789A};
  std::array<uint8_t, kAssemblySize> scratch;
  for (const auto& [layer, ring] : rings) {
    slot.Bind({LayerId{layer}, 500 + layer, codec});
    for (SourcePacket packet : loaded.packets) {
      packet.arrival = TimestampFromMicros(1000);
      const SourcePacket* stored = nullptr;
      ASSERT_EQ(ring->Insert(packet, stored), InsertOutcome::kStored);
      const auto out = slot.Forward(LayerId{layer}, *stored);
      if (!out) continue;
      history.OnSent(LayerId{layer}, stored->sequence_number, *out);
      const auto assembled = AssembleMedia(scratch, Stream(), transmission, *stored, *out);
      ASSERT_FALSE(assembled.header.empty());
      wire[out->sequence_number] = Bytes(assembled);
      const auto view = ParseRtp(wire[out->sequence_number]);
      ASSERT_TRUE(view);
      ASSERT_EQ(view->csrc(0), 500 + layer);
      ASSERT_EQ(view->header().ssrc, Ssrc{0xA1A2A3A4});
      ASSERT_EQ(view->FindExtension(9).has_value(), codec == Codec::kAv1);
    }
  }
  ASSERT_GT(wire.size(), loaded.packets.size());
  int64_t rtx_sequence = 65'530;
  size_t from_before = 0;
  for (const auto& [sequence, bytes] : wire) {
    SentPacket sent;
    ASSERT_EQ(history.OnNack(static_cast<uint16_t>(sequence), {}, {}, sent), ResendOutcome::kResend);
    from_before += sent.layer.value == 1;
    const SourcePacket* stored = rings.at(sent.layer.value)->Find(sent.source_sequence);
    ASSERT_NE(stored, nullptr);
    const auto rtx =
        Bytes(AssembleRtx(scratch, Stream(), transmission, *stored, sent.rewritten, rtx_sequence));
    const auto view = ParseRtp(rtx);
    ASSERT_TRUE(view);
    ASSERT_EQ(view->header().sequence_number, static_cast<uint16_t>(rtx_sequence++));
    ASSERT_EQ(view->header().ssrc, Ssrc{0xB1B2B3B4});
    std::array<uint8_t, 1600> restored;
    const size_t size = RestoreFromRtx(*view, Ssrc{0xA1A2A3A4}, PayloadType{100}, restored);
    ASSERT_EQ(std::vector<uint8_t>(restored.begin(), restored.begin() + static_cast<long>(size)), bytes);
  }
  EXPECT_GT(from_before, 0u);
}

using CaptureOf = std::pair<const char*, Codec>;
const auto kCaptures =
    ::testing::Values(CaptureOf{"vp8.pcap", Codec::kVp8}, CaptureOf{"vp9.pcap", Codec::kVp9},
                      CaptureOf{"h264.pcap", Codec::kH264}, CaptureOf{"av1.pcap", Codec::kAv1});
const auto kCodecOf = [](const auto& info) { return std::string(CodecName(info.param.second)); };
INSTANTIATE_TEST_SUITE_P(Captures, Assembly, kCaptures, kCodecOf);

// For GSO runs the headers of one slot have equal lengths, whatever extensions the source's packets have.
TEST(AssembleMedia, HeadersOfASlotAreEquallyLong) {
  std::array<uint8_t, kAssemblySize> scratch;
  SourcePacket packet;
  const std::vector<uint8_t> payload(20, 7);
  packet.payload = payload;
  const size_t plain = AssembleMedia(scratch, Stream(), {}, packet, {}).header.size();
  packet.video_orientation = 3;
  packet.marker = true;
  EXPECT_EQ(AssembleMedia(scratch, Stream(), {}, packet, {}).header.size(), plain);
}

TEST(AssembleMedia, FailsIfScratchIsTooSmall) {
  std::array<uint8_t, 20> scratch;
  SourcePacket packet;
  const std::vector<uint8_t> payload(20, 7);
  packet.payload = payload;
  EXPECT_TRUE(AssembleMedia(scratch, Stream(), {}, packet, {}).header.empty());
  EXPECT_TRUE(AssembleRtx(scratch, Stream(), {}, packet, {}, 1).header.empty());
}

class EmptiedPacket : public ::testing::TestWithParam<std::pair<const char*, Codec>> {};

// A packet that was queued when its layer was dropped keeps its number but loses its payload with the
// descriptor: receivers take an empty packet for padding, but a partial VP8 payload for damage.
TEST_P(EmptiedPacket, IsOnlyAHeader) {
  NEXUS_LOAD_CAPTURE(capture, GetParam().first);
  const Codec codec = GetParam().second;
  auto loaded = testing::LoadStream(capture, codec);
  if (codec == Codec::kAv1) loaded = testing::WithDescriptors(std::move(loaded));
  SlotForwarder slot({true, 90'000, 0x7F00, 5, {}});
  slot.Bind({LayerId{1}, 501, codec});
  std::array<uint8_t, kAssemblySize> scratch;
  size_t seen = 0;
  for (const SourcePacket& packet : loaded.packets) {
    auto out = slot.Forward(LayerId{1}, packet);
    if (!out || packet.payload.empty()) continue;
    ++seen;
    out->empty = true;
    const auto media = Bytes(AssembleMedia(scratch, Stream(), {}, packet, *out));
    const auto view = ParseRtp(media);
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->payload().empty());
    EXPECT_EQ(view->header().sequence_number, static_cast<uint16_t>(out->sequence_number));
    const auto repair = Bytes(AssembleRtx(scratch, Stream(), {}, packet, *out, 1));
    const auto repair_view = ParseRtp(repair);
    ASSERT_TRUE(repair_view);
    EXPECT_EQ(repair_view->payload().size(), 2u);  // the original number (RFC 4588 section 4)
  }
  EXPECT_GT(seen, 100u);
}

INSTANTIATE_TEST_SUITE_P(Captures, EmptiedPacket, kCaptures, kCodecOf);

// A late probe fills a hole with an empty packet without the P bit (hard problem 4).
TEST(AssembleMedia, AnEmptyPacketIsOnlyAHeader) {
  std::array<uint8_t, kAssemblySize> scratch;
  const auto out = AssembleMedia(scratch, Stream(), {}, SourcePacket{}, {});
  EXPECT_EQ(out.size(), out.header.size());
  const auto view = ParseRtp(out.header);
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->header().padding);
  EXPECT_TRUE(view->payload().empty());
}

}  // namespace
}  // namespace nexus
