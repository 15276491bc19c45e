// Dependency descriptors (AV1 RTP specification, appendix A) of every codec as subscribers receive them, in
// emulated time: frame numbers and structures continue through switches, rebinds and losses, and only
// subscribers that have negotiated the extension receive it.
#include <gtest/gtest.h>

#include "testing/emulated_options.h"
#include "testing/simulcast.h"
#include "testing/test_call.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Publisher and subscriber number the extensions differently.
PeerOptions Describing(Codec codec) { return {.video = codec, .descriptors = true}; }
PeerOptions Described(Codec codec) {
  return {.video = codec, .first_payload_type = 110, .first_extension_id = 3, .descriptors = true};
}

size_t WithDescriptor(const ReceivedStream& stream) {
  size_t count = 0;
  for (const auto& [sequence, packet] : stream.packets) count += packet.descriptor.empty() ? 0 : 1;
  return count;
}

class DescriptorCall : public ::testing::TestWithParam<Codec> {};

// Each encoding has its own structure and frame numbers; libwebrtc numbers the frames of all encodings
// together.
TEST_P(DescriptorCall, ContinuesThroughSwitchesOfEncodingsUnderLoss) {
  TestCall call(EmulatedOptions(71));
  Member& publisher = call.Join(Describing(GetParam()));
  Member& subscriber = call.Join(Described(GetParam()));
  SimulcastCamera camera(call, publisher, FoundBy::kSsrc);
  for (uint16_t i = 0; i < SimulcastCamera::kEncodings; ++i) {
    camera.encoding(i).options.descriptors = true;
    camera.encoding(i).options.frame_number_step = 3;
    camera.encoding(i).frame_number = static_cast<uint16_t>(65'400 + i);
    camera.encoding(i).template_offset = static_cast<uint8_t>(20 * i);
  }
  call.AddSlot(subscriber, MediaKind::kVideo);
  call.Command(BindSlot{subscriber.slots[0].id, camera.track()});
  call.StartMedia(subscriber);
  ASSERT_TRUE(call.RunUntilConnected());
  call.network().conditions = {.loss = 0.02, .delay = milliseconds(15), .jitter = milliseconds(5)};
  std::uniform_int_distribution<int64_t> pause(300'000, 900'000);
  for (int i = 0; i < 24; ++i) {
    SlotView view;
    view.max = LayerTarget{static_cast<uint8_t>(i * 2 % 3), kMaxTemporalLayers - 1};
    call.Command(SetSlotView{subscriber.slots[0].id, view});
    call.RunFor(Duration(pause(call.network().random())));
  }
  call.network().conditions = {};
  call.RunFor(seconds(1));
  const ReceivedStream& video = *subscriber.slots[0].stream;
  EXPECT_EQ(video.DescriptorFaults(), "");
  EXPECT_EQ(video.altered, 0u);
  EXPECT_GT(video.rtx_sequences.size(), 5u) << "some came as retransmissions";
  size_t switches = 0;
  std::optional<uint32_t> shown;
  for (const auto& [sequence, packet] : video.packets) {
    if (packet.mark) switches += std::exchange(shown, packet.mark->mark) != packet.mark->mark ? 1 : 0;
  }
  EXPECT_GT(switches, 15u);
}

// A keyframe is recognised by its descriptor alone, and payloads that cannot be read are not changed.
TEST_P(DescriptorCall, EncryptedPayloadsAreForwardedAsTheyAre) {
  TestCall call(EmulatedOptions(73));
  Member& publisher = call.Join(Describing(GetParam()));
  Member& subscriber = call.Join(Described(GetParam()));
  call.Publish(publisher, MediaKind::kVideo);
  publisher.video->options.descriptors = true;
  publisher.video->options.encrypted = true;
  publisher.video->picture_id = 4321;
  call.AddSlot(subscriber, MediaKind::kVideo);
  call.Command(BindSlot{subscriber.slots[0].id, publisher.video_track});
  call.StartMedia(publisher);
  call.StartMedia(subscriber);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  Member& late = call.Join(Described(GetParam()));
  call.AddSlot(late, MediaKind::kVideo);
  call.Command(BindSlot{late.slots[0].id, publisher.video_track});
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  EXPECT_GE(publisher.video->keyframes, 1u);
  for (const Member* member : {&subscriber, &late}) {
    const ReceivedStream& video = *member->slots[0].stream;
    ASSERT_GT(video.packets.size(), 100u);
    EXPECT_EQ(video.DescriptorFaults(), "");
    std::set<std::vector<uint8_t>> sent;
    for (const auto& [sequence, packet] : publisher.video->history) sent.insert(packet.payload);
    for (const auto& [sequence, packet] : video.packets)
      ASSERT_TRUE(sent.contains(packet.payload)) << sequence;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, DescriptorCall,
                         ::testing::Values(Codec::kVp8, Codec::kVp9, Codec::kH264, Codec::kAv1),
                         [](const auto& info) { return std::string(CodecName(info.param)); });

// Negotiating descriptors for what a peer sends says nothing about what it receives.
TEST(Descriptors, ReachOnlySlotsThatHaveNegotiatedThem) {
  TestCall call(EmulatedOptions(79));
  Member& publisher = call.Join(Describing(Codec::kVp8));
  PeerOptions sends_only = Described(Codec::kVp8);
  sends_only.descriptors_to_slots = false;
  Member& other = call.Join(sends_only);
  Member& without = call.Join({});
  call.Publish(publisher, MediaKind::kVideo);
  publisher.video->options.descriptors = true;
  for (Member* member : {&other, &without}) {
    call.AddSlot(*member, MediaKind::kVideo);
    call.Command(BindSlot{member->slots[0].id, publisher.video_track});
    call.StartMedia(*member);
  }
  call.StartMedia(publisher);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(2));
  for (const Member* member : {&other, &without}) {
    EXPECT_GT(member->slots[0].stream->packets.size(), 100u);
    EXPECT_EQ(WithDescriptor(*member->slots[0].stream), 0u);
    EXPECT_EQ(member->slots[0].stream->Faults(call.csrcs()), "") << "picture ids continue";
  }
  // After a later offer negotiates them they are sent from the next structure on.
  const TransportSettings settings = other.peer->Settings();
  call.Command(UpdateTransport{other.transport, settings.codecs, settings.extensions, true});
  call.RunFor(milliseconds(400));
  EXPECT_EQ(WithDescriptor(*other.slots[0].stream), 0u);
  publisher.video->keyframe_wanted = true;
  call.RunFor(seconds(1));
  EXPECT_EQ(WithDescriptor(*without.slots[0].stream), 0u);
  ReceivedStream video = *other.slots[0].stream;
  std::erase_if(video.packets, [](const auto& packet) { return packet.second.descriptor.empty(); });
  EXPECT_GT(video.packets.size(), 50u);
  EXPECT_EQ(video.DescriptorFaults(), "");
  EXPECT_EQ(other.slots[0].stream->Faults(call.csrcs()), "");
}

// The slot is bound to sources with and without descriptors, and to another codec in between.
TEST(Descriptors, ContinueThroughRebindsToSourcesWithoutThem) {
  TestCall call(EmulatedOptions(83));
  Member& described = call.Join(Describing(Codec::kVp8));
  Member& twin = call.Join(Describing(Codec::kVp8));
  Member& plain = call.Join({});
  Member& subscriber = call.Join(Described(Codec::kVp8));
  for (Member* member : {&described, &twin, &plain}) {
    call.Publish(*member, MediaKind::kVideo);
    member->video->options.descriptors = member != &plain;
    call.StartMedia(*member);
  }
  twin.video->frame_number = 12'345;
  call.AddSlot(subscriber, MediaKind::kVideo);
  call.StartMedia(subscriber);
  ASSERT_TRUE(call.RunUntilConnected());
  for (const Member* source : {&described, &plain, &twin, &described, &plain, &twin}) {
    call.Command(BindSlot{subscriber.slots[0].id, source->video_track});
    call.RunFor(milliseconds(1'500));
  }
  ReceivedStream video = *subscriber.slots[0].stream;
  EXPECT_EQ(video.Faults(call.csrcs()), "") << "picture ids continue";
  const uint32_t plain_csrc = call.csrcs().at(plain.video->options.mark);
  size_t of_plain = 0;
  for (auto packet = video.packets.begin(); packet != video.packets.end();) {
    const bool is_plain = packet->second.csrc == plain_csrc;
    EXPECT_EQ(packet->second.descriptor.empty(), is_plain);
    of_plain += is_plain ? 1 : 0;
    packet = is_plain ? video.packets.erase(packet) : std::next(packet);
  }
  EXPECT_GT(of_plain, 100u);
  EXPECT_EQ(video.DescriptorFaults(), "") << "as if the other sources had not been bound";
}

// The room is spread over two shards.
TEST(Descriptors, CrossShards) {
  TestCall call(EmulatedOptions(89, 2));
  Member& publisher = call.Join(Describing(Codec::kVp8), 0);
  Member& subscriber = call.Join(Described(Codec::kVp8), 1);
  call.Publish(publisher, MediaKind::kVideo);
  publisher.video->options.descriptors = true;
  call.AddSlot(subscriber, MediaKind::kVideo);
  call.Command(BindSlot{subscriber.slots[0].id, publisher.video_track}, 1);
  call.StartMedia(publisher);
  call.StartMedia(subscriber);
  ASSERT_TRUE(call.RunUntilConnected());
  call.RunFor(seconds(3));
  EXPECT_GT(WithDescriptor(*subscriber.slots[0].stream), 100u);
  EXPECT_EQ(subscriber.slots[0].stream->DescriptorFaults(), "");
}

}  // namespace
}  // namespace nexus::testing
