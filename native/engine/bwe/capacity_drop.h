// A link that suddenly carries much less than is sent: packets come apart on the way, and wait longer and
// longer. The trend over twenty groups needs half a second to be sure; over the packets of two feedbacks such
// a fall is plain to see. While a queue grows, what arrives is what the link carries.
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
  // The packets of one feedback that arrived, in order of arrival. What the link carries now, when it fell.
  std::optional<int64_t> OnFeedback(std::span<const PacketResult> arrived, const QueueDelay& queue) {
    if (arrived.empty()) return std::nullopt;
    Window now{arrived.front().sent, *arrived.front().arrived};
    bool probed = false;
    for (const PacketResult& packet : arrived) {
      if (packet.recovered) return Restart();  // its delay is that of its detour
      now.bytes += packet.size;
      probed = probed || packet.cluster != kNoProbe;
    }
    if (probed) return Restart();  // sent faster than the link on purpose
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
    // Of the later half alone, when that is enough to go by: nothing in it is of the time before the fall.
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
  // Shorter ones may lie within one frame; in longer ones the sender was silent.
  static constexpr Duration kLeast = std::chrono::milliseconds(20);
  static constexpr Duration kMost = std::chrono::milliseconds(600);
  static constexpr Duration kGrown = std::chrono::milliseconds(60);
  // Others who begin to send stretch the packets less.
  static constexpr double kStretched = 1.4;
  struct Window {
    Timestamp sent;  // its first packet
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
