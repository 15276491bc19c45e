// The packets of one published layer, stored once for all subscribers; retransmissions read them here.
// Bounded by count (a power of two) and age. The memory is touched only as packets arrive.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/forward/source_packet.h"

namespace nexus {

inline constexpr size_t kMaxStoredPacketSize = 1500;

struct PacketRingConfig {
  size_t capacity = 1024;  // power of two; audio: 256
  Duration max_age = Duration(2'000'000);
};

enum class InsertOutcome : uint8_t { kStored, kDuplicate, kTooOld, kTooLarge };

class PacketRing {
 public:
  explicit PacketRing(const PacketRingConfig& config);

  // Copies payload and dependency descriptor. `stored` is set only for kStored, and is valid until `capacity`
  // further packets were inserted.
  InsertOutcome Insert(const SourcePacket& packet, const SourcePacket*& stored);
  const SourcePacket* Find(int64_t sequence_number) const;
  // For information about a stored packet that is learned later.
  SourcePacket* FindToCorrect(int64_t sequence_number);
  // Adds padding after a stored packet's payload; at most kMaxRunPadding bytes, and only once.
  void Pad(int64_t sequence_number, uint8_t bytes);
  // Removes packets older than `now - max_age`. Insert does it too, by the packet's arrival.
  void Expire(Timestamp now) { now_ = std::max(now_, now); }

  std::optional<int64_t> newest() const { return newest_; }
  size_t capacity() const { return entries_.size(); }

 private:
  static constexpr size_t kSlotSize = kMaxStoredPacketSize + kMaxRunPadding;
  struct Entry {
    bool used = false;
    SourcePacket packet;
  };
  MutableByteView Slot(int64_t sequence_number) const {
    return {slab_.get() + Index(sequence_number) * kSlotSize, kSlotSize};
  }
  size_t Index(int64_t sequence_number) const { return static_cast<size_t>(sequence_number) & mask_; }
  bool InWindow(int64_t sequence_number) const;
  bool Expired(const SourcePacket& packet) const { return packet.arrival < now_ - config_.max_age; }
  void AdvanceTo(int64_t sequence_number);

  PacketRingConfig config_;
  size_t mask_;
  std::vector<Entry> entries_;
  std::unique_ptr<uint8_t[]> slab_;
  std::optional<int64_t> newest_;
  Timestamp now_{};
};

}  // namespace nexus
