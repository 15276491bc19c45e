// Puts the packets of one stream in order: what comes in order passes through without a copy, what comes
// behind a hole is held until the hole is filled, or has been open for longer than patience, or too much is
// held behind it.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "engine/forward/source_packet.h"

namespace nexus {

enum class GapReason : uint8_t { kLost = 1, kReorderFull = 2, kRestart = 3, kSlowReader = 4 };

struct SequenceGap {
  GapReason reason = GapReason::kLost;
  int64_t first = 0;  // both inclusive
  int64_t last = 0;
};

// A held packet; its views point into itself.
struct HeldPacket {
  SourcePacket packet;
  uint32_t note = 0;  // the owner's, given with the packet
  std::vector<uint8_t> bytes;
  Timestamp since;
};

struct ReorderConfig {
  Duration patience = std::chrono::milliseconds(1'500);
  size_t max_bytes = 4u << 20;
  int64_t max_jump = 1'000;  // more is a restart of the stream (as NackConfig::max_gap)
};

class ReorderBuffer {
 public:
  enum class Outcome : uint8_t {
    kInOrder,  // take it now, then poll
    kHeld,     // poll: something may have been given up for it
    kLate,     // already passed, or twice
    kRestart,  // its numbers belong to another life of the stream: drain, then insert again
  };

  explicit ReorderBuffer(const ReorderConfig& config) : config_(config) {}

  // The next packet inserted is the first, whatever its number: no gap before it. What is held is forgotten.
  void Restart();
  Outcome Insert(const SourcePacket& packet, uint32_t note, Timestamp now);
  // What is due, in order: held packets, and holes that are given up. Nothing: wait.
  std::optional<std::variant<HeldPacket, SequenceGap>> Poll(Timestamp now);
  // The same without patience, until nothing is held.
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
