// Orders the packets of one stream. A packet in order passes through without a copy. A packet after a hole is
// held until the hole is filled, or has been open for longer than `patience`, or too much is held.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "engine/forward/source_packet.h"

namespace nexus {

enum class GapReason : uint8_t { kLost = 1, kReorderFull = 2, kRestart = 3, kSlowReader = 4, kRetention = 5 };

struct SequenceGap {
  GapReason reason = GapReason::kLost;
  int64_t first = 0;  // inclusive, like `last`
  int64_t last = 0;
};

// A held packet; its views point into itself.
struct HeldPacket {
  SourcePacket packet;
  uint32_t note = 0;  // passed by the owner with the packet
  std::vector<uint8_t> bytes;
  Timestamp since;
};

struct ReorderConfig {
  Duration patience = std::chrono::milliseconds(1'500);
  size_t max_bytes = 4u << 20;
  int64_t max_jump = 1'000;  // a larger one is a restart of the stream (like NackConfig::max_gap)
};

class ReorderBuffer {
 public:
  enum class Outcome : uint8_t {
    kInOrder,  // process it now, then poll
    kHeld,     // poll: a hole may have been given up for it
    kLate,     // already passed, or a duplicate
    kRestart,  // its numbers belong to a restarted stream: drain, then insert again
  };

  explicit ReorderBuffer(const ReorderConfig& config) : config_(config) {}

  // The next packet is the first, whatever its number, without a gap before it. Held packets are discarded.
  void Restart();
  Outcome Insert(const SourcePacket& packet, uint32_t note, Timestamp now);
  // The next item in order: a held packet, or a hole that is given up. Nothing: wait.
  std::optional<std::variant<HeldPacket, SequenceGap>> Poll(Timestamp now);
  // The same without waiting, until nothing is held.
  std::optional<std::variant<HeldPacket, SequenceGap>> Drain();
  // When Poll will give up the first hole.
  Timestamp next_deadline() const { return held_.empty() ? kNever : hole_since_ + config_.patience; }

  std::optional<int64_t> next() const { return next_; }
  size_t held_bytes() const { return bytes_; }
  size_t held() const { return held_.size(); }
  uint64_t late() const { return late_; }

 private:
  std::optional<HeldPacket> PopReady();
  SequenceGap GiveUp(GapReason reason);
  void FindHole();

  ReorderConfig config_;
  std::optional<int64_t> next_;
  std::map<int64_t, HeldPacket> held_;
  size_t bytes_ = 0;
  Timestamp hole_since_ = kNever;  // when the first hole was noticed
  uint64_t late_ = 0;
};

}  // namespace nexus
