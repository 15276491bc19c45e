#include "engine/tap/reorder_buffer.h"

#include <algorithm>

namespace nexus {
namespace {

// Overhead of one held packet: a node of the map.
constexpr size_t kNodeBytes = sizeof(HeldPacket) + 64;

HeldPacket Copy(const SourcePacket& packet, uint32_t note, Timestamp now) {
  HeldPacket held{packet, note, {}, now};
  held.bytes.reserve(packet.payload.size() + packet.dependency_descriptor.size());
  held.bytes.insert(held.bytes.end(), packet.payload.begin(), packet.payload.end());
  held.bytes.insert(held.bytes.end(), packet.dependency_descriptor.begin(),
                    packet.dependency_descriptor.end());
  held.packet.payload = ByteView(held.bytes).first(packet.payload.size());
  held.packet.dependency_descriptor = ByteView(held.bytes).subspan(packet.payload.size());
  return held;
}

}  // namespace

void ReorderBuffer::Restart() {
  next_.reset();
  held_.clear();
  bytes_ = 0;
  hole_since_ = kNever;
}

ReorderBuffer::Outcome ReorderBuffer::Insert(const SourcePacket& packet, uint32_t note, Timestamp now) {
  const int64_t sequence = packet.sequence_number;
  if (!next_ || (sequence == *next_ && held_.empty())) {
    next_ = sequence + 1;
    return Outcome::kInOrder;
  }
  if (sequence < *next_ - config_.max_jump || sequence > *next_ + config_.max_jump) {
    // A packet far after a pending hole is not a restart.
    if (held_.empty() || sequence < *next_ || sequence > held_.rbegin()->first + config_.max_jump) {
      return Outcome::kRestart;
    }
  }
  if (sequence < *next_ || held_.contains(sequence)) {
    ++late_;
    return Outcome::kLate;
  }
  HeldPacket held = Copy(packet, note, now);
  bytes_ += held.bytes.size() + kNodeBytes;
  if (held_.empty()) hole_since_ = now;
  held_.emplace(sequence, std::move(held));
  return Outcome::kHeld;
}

std::optional<HeldPacket> ReorderBuffer::PopReady() {
  const auto first = held_.begin();
  if (first == held_.end() || first->first != *next_) return std::nullopt;
  HeldPacket held = std::move(first->second);
  bytes_ -= held.bytes.size() + kNodeBytes;
  held_.erase(first);
  ++*next_;
  if (!held_.empty() && held_.begin()->first != *next_) FindHole();
  return held;
}

// The first hole was noticed when the earliest of the held packets arrived.
void ReorderBuffer::FindHole() {
  hole_since_ = kNever;
  for (const auto& [sequence, held] : held_) hole_since_ = std::min(hole_since_, held.since);
}

SequenceGap ReorderBuffer::GiveUp(GapReason reason) {
  const SequenceGap gap{reason, *next_, held_.begin()->first - 1};
  next_ = held_.begin()->first;
  return gap;
}

std::optional<std::variant<HeldPacket, SequenceGap>> ReorderBuffer::Poll(Timestamp now) {
  if (held_.empty()) return std::nullopt;
  if (auto held = PopReady()) return *std::move(held);
  if (bytes_ > config_.max_bytes) return GiveUp(GapReason::kReorderFull);
  if (now >= next_deadline()) return GiveUp(GapReason::kLost);
  return std::nullopt;
}

std::optional<std::variant<HeldPacket, SequenceGap>> ReorderBuffer::Drain() {
  if (held_.empty()) return std::nullopt;
  if (auto held = PopReady()) return *std::move(held);
  return GiveUp(GapReason::kLost);
}

}  // namespace nexus
