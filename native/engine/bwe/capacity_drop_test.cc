// Falls of the link's rate, detected within two hundred milliseconds of feedback, and events that only
// resemble them.
#include "engine/bwe/capacity_drop.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/bottleneck.h"

namespace nexus::testing {
namespace {

using std::chrono::milliseconds;

// Frames of `packets` through a link, with feedback every 100 ms.
class Frames {
 public:
  explicit Frames(int64_t bps) { link.SetRate(bps, now_); }
  void Send(int packets, ProbeClusterId cluster = kNoProbe, bool recovered = false) {
    for (int i = 0; i < packets; ++i) {
      PacketResult packet;
      packet.sent = now_;
      packet.arrived = link.Pass(1'000, now_);
      packet.size = 1'000;
      packet.cluster = cluster;
      packet.recovered = recovered;
      under_way_.push_back(packet);
    }
    now_ += milliseconds(20);
    if (now_ >= next_) Feed();
  }
  Timestamp now() const { return now_; }
  Bottleneck link;
  std::optional<int64_t> fallen_to;
  std::optional<Timestamp> fallen;

 private:
  void Feed() {
    next_ += milliseconds(100);
    std::vector<PacketResult> arrived;
    std::optional<Duration> least;
    for (const PacketResult& packet : under_way_) {
      if (*packet.arrived > now_) continue;
      arrived.push_back(packet);
      least = std::min(least.value_or(milliseconds(9'999)), *packet.arrived - packet.sent);
    }
    std::erase_if(under_way_, [&](const PacketResult& packet) { return *packet.arrived <= now_; });
    if (least) queue_.OnDelay(*least, now_);
    const auto seen = drop_.OnFeedback(arrived, queue_);
    if (seen) fallen_to = seen;
    if (seen && !fallen) fallen = now_;
  }

  Timestamp now_ = TimestampFromMicros(1'000'000);
  Timestamp next_ = now_ + milliseconds(100);
  std::vector<PacketResult> under_way_;
  QueueDelay queue_;
  CapacityDrop drop_;
};

TEST(CapacityDrop, IsDetectedInAQuarterOfASecondWithTheNewRate) {
  Frames frames(3'000'000);
  for (int i = 0; i < 50; ++i) frames.Send(3);  // 1.2 Mbit/s
  EXPECT_FALSE(frames.fallen);
  const Timestamp from = frames.now();
  frames.link.SetRate(500'000, from);
  for (int i = 0; i < 20; ++i) frames.Send(3);
  ASSERT_TRUE(frames.fallen);
  EXPECT_LE(*frames.fallen - from, milliseconds(250));
  EXPECT_NEAR(static_cast<double>(*frames.fallen_to), 500'000, 50'000);
}

TEST(CapacityDrop, IgnoresKeyframesAndASlightlyNarrowLink) {
  Frames frames(3'000'000);
  for (int i = 0; i < 200; ++i) frames.Send(i % 50 == 0 ? 20 : 3);
  EXPECT_FALSE(frames.fallen);
  Frames narrow(1'100'000);
  for (int i = 0; i < 50; ++i) narrow.Send(3);
  EXPECT_FALSE(narrow.fallen);
}

TEST(CapacityDrop, IgnoresProbesAndRecoveredPackets) {
  Frames probe(1'000'000);
  for (int i = 0; i < 20; ++i) probe.Send(i % 10 == 0 ? 20 : 1, i % 10 == 0 ? ProbeClusterId{7} : kNoProbe);
  EXPECT_FALSE(probe.fallen);
  Frames repaired(1'000'000);
  for (int i = 0; i < 20; ++i) repaired.Send(5, kNoProbe, true);
  EXPECT_FALSE(repaired.fallen);
}

}  // namespace
}  // namespace nexus::testing
