// Detects a link whose rate falls suddenly: packets arrive further and further apart, and their delay grows.
// The trendline over twenty groups needs half a second to detect this; such a fall is obvious already from
// the packets of two feedbacks. While a queue grows, the arrival rate is the link's rate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/bwe/queue_delay.h"
#include "engine/bwe/transport_feedback_adapter.h"

namespace nexus {

class CapacityDrop {
 public:
  // Takes the packets of one feedback in order of arrival. Returns the link's new rate if it fell.
  std::optional<int64_t> OnFeedback(std::span<const PacketResult> arrived, const QueueDelay& queue) {
    if (arrived.empty()) return std::nullopt;
    Window now{arrived.front().sent, *arrived.front().arrived};
    bool probed = false;
    for (const PacketResult& packet : arrived) {
      if (packet.recovered) return Restart();  // its delay is that of its detour
      now.bytes += packet.size;
      probed = probed || packet.cluster != kNoProbe;
    }
    if (probed) return Restart();  // probes exceed the link's rate on purpose
    Window both = now;
    if (before_) {
      both = *before_;
      both.bytes += now.bytes;
    }
    before_ = now;
    const PacketResult& last = arrived.back();
    const Duration sending = last.sent - both.sent;
    const Duration receiving = *last.arrived - both.arrived;
    if (sending < kLeast || sending > kMost) return std::nullopt;
    if (queue.Above(*last.arrived - last.sent) < kGrown) return std::nullopt;
    if (receiving - sending < kGrown ||
        static_cast<double>(receiving.count()) < kStretched * static_cast<double>(sending.count()))
      return std::nullopt;
    const int64_t carried = Bps(both.bytes, receiving);
    // The later half alone is preferred if it has enough packets: it contains nothing from before the fall.
    const Duration lately = *last.arrived - now.arrived;
    return arrived.size() < kEnough || lately < kGrown
               ? carried
               : std::min(carried, Bps(now.bytes - arrived.front().size, lately));
  }
  void Reset() { before_.reset(); }

 private:
  static int64_t Bps(size_t bytes, Duration time) {
    return static_cast<int64_t>(bytes) * 8'000'000 / time.count();
  }
  static constexpr size_t kEnough = 4;
  // A shorter time may lie within one frame; in a longer one the sender was silent.
  static constexpr Duration kLeast = std::chrono::milliseconds(20);
  static constexpr Duration kMost = std::chrono::milliseconds(600);
  static constexpr Duration kGrown = std::chrono::milliseconds(60);
  // Minimum ratio of arrival time to sending time. Competing traffic that begins stretches it less.
  static constexpr double kStretched = 1.4;
  struct Window {
    Timestamp sent;  // of its first packet
    Timestamp arrived;
    size_t bytes = 0;
  };
  std::optional<int64_t> Restart() {
    before_.reset();
    return std::nullopt;
  }
  std::optional<Window> before_;
};

}  // namespace nexus
