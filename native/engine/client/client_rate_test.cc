// A publisher that follows its estimate over a narrow uplink, the choice of a codec, and the distribution of
// a rate over encodings.
#include <gtest/gtest.h>

#include "engine/client/codec_choice.h"
#include "engine/client/encoding_rates.h"
#include "engine/client/estimated_bandwidth.h"
#include "testing/client_call.h"
#include "testing/emulated_options.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A camera whose encoder follows the client's target, over a link of `bps`.
struct NarrowUplink {
  explicit NarrowUplink(int64_t bps)
      : bandwidth(
            std::make_shared<EstimatedBandwidth>(BweConfig{.start_bps = 500'000, .max_bps = 4'000'000})) {
    ClientPeerOptions options;
    options.bandwidth = bandwidth;
    member = &call.Join(std::move(options));
    stream = &call.Publish(*member, MediaKind::kVideo);
    call.network().conditions.delay = milliseconds(20);
    link = call.network().Narrow({call.server()}, bps, static_cast<size_t>(bps / 8 * 3 / 10), call.now());
    call.Every(milliseconds(40), [this] {
      if (member->peer->connected()) SendFrame();
    });
  }
  void SendFrame() {
    (void)stream->TakeKeyframeRequest();
    owed += static_cast<double>(member->peer->client().target_bps()) * 0.95 * 0.04 / 8;
    const std::vector<uint8_t> payload(900, 0x55);
    const std::array<uint8_t, 4> descriptor = {0x90, 0x80, 0x80, 1};
    while (owed > 0) {
      owed -= 960;
      SendPacket packet;
      packet.timestamp = static_cast<uint32_t>(call.now().time_since_epoch().count() * 9 / 100);
      packet.prefix = descriptor;
      packet.payload = payload;
      packet.marker = owed <= 0;
      stream->Send(packet, call.now());
    }
  }
  double TargetAfter(Duration time) {
    call.RunFor(time);
    return static_cast<double>(member->peer->client().target_bps());
  }
  ClientCall call{EmulatedOptions(5)};
  std::shared_ptr<EstimatedBandwidth> bandwidth;
  ClientMember* member;
  SendStream* stream;
  std::shared_ptr<Bottleneck> link;
  double owed = 0;
};

TEST(ClientRate, APublisherFollowsItsUplinkDownAndUp) {
  NarrowUplink uplink(1'000'000);
  ASSERT_TRUE(uplink.call.RunUntilConnected());
  const double at_first = uplink.TargetAfter(seconds(30));
  EXPECT_GT(at_first, 600'000);
  EXPECT_LT(at_first, 1'150'000);
  uplink.link->SetRate(400'000, uplink.call.now());
  const double narrowed = uplink.TargetAfter(seconds(6));
  EXPECT_LT(narrowed, 480'000);
  EXPECT_GT(narrowed, 150'000);
  uplink.link->SetRate(2'000'000, uplink.call.now());
  EXPECT_GT(uplink.TargetAfter(seconds(40)), 1'000'000);
}

TEST(ReportedBandwidth, RembIsTheLimitAndLossReducesTheRate) {
  ReportedBandwidth bandwidth({.start_bps = 1'000'000, .min_bps = 50'000, .max_bps = 3'000'000});
  Timestamp now = TimestampFromMicros(1'000'000);
  for (int i = 0; i < 100; ++i) bandwidth.OnReport(0, std::nullopt, now += seconds(1));
  EXPECT_EQ(bandwidth.target_bps(), 3'000'000u);
  bandwidth.OnRemb(700'000, now);
  EXPECT_EQ(bandwidth.target_bps(), 700'000u);
  bandwidth.OnRemb(5'000'000, now);
  bandwidth.OnReport(128, std::nullopt, now += seconds(1));  // half is lost: a quarter less
  EXPECT_EQ(bandwidth.target_bps(), 2'250'000u);
  bandwidth.OnReport(128, std::nullopt, now);  // another stream's report of the same second
  EXPECT_EQ(bandwidth.target_bps(), 2'250'000u);
  bandwidth.OnReport(13, std::nullopt,
                     now += seconds(1));  // 5 %: no change, but the worst report of the second counts
  EXPECT_LT(bandwidth.target_bps(), 2'250'000u);
}

std::vector<EncodingLimits> ThreeEncodings() {
  return {{30'000, 150'000, 200'000}, {150'000, 500'000, 700'000}, {600'000, 1'500'000, 2'500'000}};
}

TEST(EncodingRates, FillFromTheLowestAndStayWithinTheAvailableRate) {
  for (uint64_t available = 30'000; available < 4'000'000; available += 7'000) {
    EncodingRates rates(ThreeEncodings());
    uint64_t sum = 0;
    bool off = false;
    for (const uint64_t rate : rates.Allocate(available)) {
      EXPECT_FALSE(off && rate > 0) << "a layer above one that is off";
      off |= rate == 0;
      sum += rate;
    }
    EXPECT_LE(sum, available);
    EXPECT_GT(rates.Allocate(available)[0], 0u);
  }
  EncodingRates rates(ThreeEncodings());
  EXPECT_EQ(rates.Allocate(10'000)[0], 30'000u) << "the lowest is never off";
}

TEST(EncodingRates, ALayerReturnsOnlyWithAMargin) {
  EncodingRates rates(ThreeEncodings());
  const uint64_t just_enough = 150'000 + 500'000 + 600'000;
  EXPECT_EQ(rates.Allocate(just_enough)[2], 0u);
  EXPECT_GT(rates.Allocate(just_enough + 130'000)[2], 0u);
  EXPECT_GT(rates.Allocate(just_enough)[2], 0u) << "an active layer stays at its minimum";
  EXPECT_EQ(rates.Allocate(just_enough - 1'000)[2], 0u);
}

TEST(EncodingRates, AnUnwantedLayerIsNotSent) {
  EncodingRates rates(ThreeEncodings());
  rates.SetWanted(2, false);
  EXPECT_EQ(rates.Allocate(5'000'000)[2], 0u);
  EXPECT_EQ(rates.Allocate(5'000'000)[1], 700'000u);
  rates.SetWanted(0, false);
  EXPECT_EQ(rates.Allocate(5'000'000)[0], 0u);
  EXPECT_GT(rates.Allocate(10'000)[1], 0u) << "the lowest that is wanted is never off";
}

TEST(ChooseCodec, PrefersCodecsThatTheDeviceEncodesInRealTime) {
  CodecBinding vp8;
  vp8.codec = Codec::kVp8;
  vp8.payload_type = PayloadType{96};
  CodecBinding h264 = vp8;
  h264.codec = Codec::kH264;
  h264.payload_type = PayloadType{102};
  h264.h264_profile_level_id = 0x42E01F;
  CodecBinding av1 = vp8;
  av1.codec = Codec::kAv1;
  av1.payload_type = PayloadType{45};
  const std::vector<CodecBinding> negotiated = {vp8, h264, av1};
  const std::vector<EncoderCapability> capabilities = {
      {.codec = Codec::kAv1, .max_pixels_per_second = 640 * 360 * 30},
      {.codec = Codec::kVp8, .max_pixels_per_second = 1280 * 720 * 60},
      {.codec = Codec::kH264,
       .hardware = true,
       .max_pixels_per_second = 1920 * 1080 * 60,
       .h264_profile = H264Profile::kConstrainedBaseline},
  };
  const auto choose = [&](SendDemand demand) { return ChooseCodec(negotiated, capabilities, demand)->codec; };
  EXPECT_EQ(choose({640, 360, 30, 1, false}), Codec::kAv1);
  EXPECT_EQ(choose({1280, 720, 30, 1, false}), Codec::kVp8) << "AV1 would be too slow";
  EXPECT_EQ(choose({1280, 720, 30, 3, true}), Codec::kH264) << "hardware first";
  EXPECT_EQ(choose({3840, 2160, 60, 1, true}), Codec::kAv1) << "none is fast enough, so the first";
  EXPECT_FALSE(ChooseCodec(std::span(negotiated).first(0), capabilities, {}));
  h264.h264_profile_level_id = 0x640C1F;  // another profile
  EXPECT_FALSE(ChooseCodec(std::span(&h264, 1), std::span(capabilities).last(1), {}));
}

}  // namespace
}  // namespace nexus::testing
