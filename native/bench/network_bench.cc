// Send-side bandwidth on emulated networks, whole calls in emulated time. For each scene: the link's
// capacity, the estimate, what was sent and received, and the length of the queue. Prints one JSON object per
// line: samples, and a summary of each scene; bench/network.py stores and plots them.
#include <malloc.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "engine/dtls/emulated_wall_clock.h"
#include "testing/bandwidth_scene.h"

namespace {

using namespace nexus;
using namespace nexus::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kSample = milliseconds(100);
constexpr Duration kShortQueue = milliseconds(100);

struct Totals {
  double capacity_bits = 0;
  double received_bits = 0;
  uint64_t dropped = 0;
  uint64_t passed = 0;
};

// One running scene: time advances in samples, each of which is printed.
class Run {
 public:
  Run(std::string name, int subscribers, uint64_t seed)
      : name_(std::move(name)), seed_(seed), scene_(Options(subscribers, seed)) {}

  BandwidthScene& scene() { return scene_; }
  void For(Duration duration) {
    for (Duration past{0}; past < duration; past += kSample) Sample();
  }
  // Seconds until `done` is true; -1 if it is not within the time.
  double Until(Duration at_most, const std::function<bool()>& done) {
    const Timestamp begin = scene_.call.now();
    while (scene_.call.now() - begin < at_most) {
      if (done()) return Seconds(scene_.call.now() - begin);
      Sample();
    }
    return done() ? Seconds(scene_.call.now() - begin) : -1;
  }
  // Runs just after a fall of the rate: measures the queue's peak, and how long it was too long.
  void Drop(Duration duration) {
    const Timestamp begin = scene_.call.now();
    for (Duration past{0}; past < duration; past += kSample) {
      longest_queue_ = Duration(0);
      Sample();
      peak_queue_ = std::max(peak_queue_, longest_queue_);
      if (longest_queue_ > kShortQueue) drained_seconds_ = Seconds(scene_.call.now() - begin);
    }
  }
  // Resets the measurements.
  void Begin() {
    totals_ = {};
    longest_queue_ = Duration(0);
    begin_ = scene_.call.now();
    changes_ = 0;
  }
  void Summary(double recovery_seconds = -1) {
    const double seconds = Seconds(scene_.call.now() - begin_);
    std::printf(
        "{\"scene\": \"%s\", \"seed\": %lu, \"summary\": true, \"utilisation\": %.3f, \"loss\": %.4f, "
        "\"longest_queue_ms\": %.1f, "
        "\"received_bps\": %.0f, \"layer_changes\": %d, \"recovery_seconds\": %.2f, \"peak_queue_ms\": %.1f, "
        "\"drained_seconds\": %.2f, \"seconds\": %.1f}\n",
        name_.c_str(), seed_, totals_.capacity_bits > 0 ? totals_.received_bits / totals_.capacity_bits : 0,
        static_cast<double>(totals_.dropped) /
            std::max<double>(1, static_cast<double>(totals_.dropped + totals_.passed)),
        Seconds(longest_queue_) * 1000, totals_.received_bits / std::max(seconds, 1e-9), changes_,
        recovery_seconds, Seconds(peak_queue_) * 1000, drained_seconds_, seconds);
  }

 private:
  static BandwidthSceneOptions Options(int subscribers, uint64_t seed) {
    BandwidthSceneOptions options;
    options.call.seed = seed;
    options.call.on_time = SetEmulatedWallClock;
    options.subscribers = subscribers;
    return options;
  }
  static double Seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

  void Sample() {
    const SceneShare seen = scene_.Observe(0, kSample, kSample);
    const TransportStats report = scene_.Stats(0);
    const auto capacity = static_cast<double>(scene_.link ? scene_.link->rate_bps() : 0);
    time_ += Seconds(kSample);
    for (const int64_t bps : seen.received_bps)
      totals_.received_bits += static_cast<double>(bps) * Seconds(kSample);
    totals_.capacity_bits += capacity * Seconds(kSample);
    if (scene_.link) {
      totals_.dropped += scene_.link->dropped() - dropped_;
      totals_.passed += scene_.link->passed() - passed_;
      dropped_ = scene_.link->dropped();
      passed_ = scene_.link->passed();
    }
    longest_queue_ = std::max(longest_queue_, seen.longest_queue);
    const int layer = scene_.Spatial(0);
    if (layer != layer_) ++changes_;
    layer_ = layer;
    std::printf(
        "{\"scene\": \"%s\", \"seed\": %lu, \"t\": %.1f, \"capacity_bps\": %.0f, \"estimate_bps\": %lu, "
        "\"target_bps\": %lu, \"received_bps\": %ld, "
        "\"received_2_bps\": %ld, \"queue_ms\": %.1f, \"loss\": %.4f, \"layer\": %d}\n",
        name_.c_str(), seed_, time_, capacity, report.estimate_bps, report.target_bps, seen.received_bps[0],
        seen.received_bps.size() > 1 ? seen.received_bps[1] : -1, Seconds(seen.longest_queue) * 1000,
        seen.loss, layer);
  }

  std::string name_;
  uint64_t seed_;
  BandwidthScene scene_;
  Totals totals_;
  Duration longest_queue_{0};
  Duration peak_queue_{-1'000};
  double drained_seconds_ = -1;
  Timestamp begin_{};
  double time_ = 0;
  uint64_t dropped_ = 0;
  uint64_t passed_ = 0;
  int layer_ = -1;
  int changes_ = 0;
};

void Steady(const char* name, int64_t bps, size_t queue, uint64_t seed) {
  Run run(name, 1, seed);
  run.scene().Narrow({0}, bps, queue);
  run.For(seconds(8));
  run.Begin();
  run.For(seconds(22));
  run.Summary();
}

void DropAndReturn(const char* name, int64_t low, uint64_t seed) {
  Run run(name, 1, seed);
  const auto link = run.scene().Narrow({0}, 3'000'000, 60'000);
  run.For(seconds(8));
  link->SetRate(low, run.scene().call.now());
  run.Drop(seconds(2));
  run.Begin();
  run.For(seconds(8));
  link->SetRate(3'000'000, run.scene().call.now());
  const double recovery = run.Until(seconds(10), [&] { return run.scene().Spatial(0) == 2; });
  run.Summary(recovery);
  run.For(seconds(5));
}

void RandomLoss(double loss, uint64_t seed) {
  Run run("random loss 10 %", 1, seed);
  run.scene().Narrow({0}, 10'000'000, 200'000);
  LinkConditions conditions;
  conditions.loss = loss;
  run.scene().SetConditions(0, conditions);
  run.For(seconds(5));
  run.Begin();
  run.For(seconds(20));
  run.Summary();
}

void TwoOnOneLink(uint64_t seed) {
  Run run("two on 1.6 Mbit/s", 2, seed);
  run.scene().Narrow({0, 1}, 1'600'000, 60'000);
  run.For(seconds(15));
  run.Begin();
  run.For(seconds(30));
  run.Summary();
}

// Memory of one more video slot apart from the publisher's packet ring: what its removal frees.
void MemoryOfASlot() {
  constexpr size_t kSlots = 100;
  BandwidthSceneOptions options;
  options.call.on_time = SetEmulatedWallClock;
  BandwidthScene scene(options);
  const TransportId subscriber = scene.subscribers[0]->transport;
  for (uint32_t i = 0; i < kSlots; ++i) {
    SlotSettings settings;
    settings.kind = MediaKind::kVideo;
    settings.ssrc = Ssrc{0x700000 + i * 2};
    settings.rtx_ssrc = Ssrc{0x700001 + i * 2};
    scene.call.Command(AddSlot{SlotId{10'000 + i}, subscriber, settings});
    scene.call.Command(BindSlot{SlotId{10'000 + i}, scene.publisher->video_track});
  }
  scene.call.RunFor(seconds(10));
  const size_t with = mallinfo2().uordblks;
  for (uint32_t i = 0; i < kSlots; ++i) scene.call.Command(RemoveSlot{SlotId{10'000 + i}});
  const size_t without = mallinfo2().uordblks;
  std::printf("{\"memory_per_video_slot_bytes\": %zu}\n", (with - without) / kSlots);
}

}  // namespace

int main() {
  constexpr std::array<uint64_t, 5> kSeeds = {1, 2, 3, 4, 5};
  for (const uint64_t seed : kSeeds) {
    Steady("1 Mbit/s", 1'000'000, 50'000, seed);
    Steady("0.5 Mbit/s", 500'000, 30'000, seed);
    Steady("3 Mbit/s", 3'000'000, 100'000, seed);
    DropAndReturn("3 to 0.5 to 3 Mbit/s", 500'000, seed);
    DropAndReturn("3 to 0.1 to 3 Mbit/s", 100'000, seed);
    RandomLoss(0.10, seed);
    TwoOnOneLink(seed);
  }
  MemoryOfASlot();
  return 0;
}
