#include "engine/forward/packet_ring.h"

#include <bit>

namespace nexus {

PacketRing::PacketRing(const PacketRingConfig& config)
    : config_(config),
      mask_(std::bit_ceil(std::max<size_t>(config.capacity, 2)) - 1),
      entries_(mask_ + 1),
      // Not zeroed, so that unused pages use no memory.
      slab_(std::make_unique_for_overwrite<uint8_t[]>((mask_ + 1) * kSlotSize)) {}

bool PacketRing::InWindow(int64_t sequence_number) const {
  return newest_ && sequence_number <= *newest_ &&
         sequence_number > *newest_ - static_cast<int64_t>(entries_.size());
}

void PacketRing::AdvanceTo(int64_t sequence_number) {
  if (!newest_) {
    newest_ = sequence_number;
    return;
  }
  // Removes the entries that the skipped numbers would have overwritten.
  const int64_t from = std::max(*newest_ + 1, sequence_number - static_cast<int64_t>(entries_.size()) + 1);
  for (int64_t i = from; i <= sequence_number; ++i) entries_[Index(i)].used = false;
  newest_ = sequence_number;
}

InsertOutcome PacketRing::Insert(const SourcePacket& packet, const SourcePacket*& stored) {
  const size_t size = packet.payload.size() + packet.dependency_descriptor.size();
  if (size > kMaxStoredPacketSize) return InsertOutcome::kTooLarge;
  if (!newest_ || packet.sequence_number > *newest_) {
    AdvanceTo(packet.sequence_number);
  } else if (!InWindow(packet.sequence_number)) {
    return InsertOutcome::kTooOld;
  }
  Expire(packet.arrival);
  Entry& entry = entries_[Index(packet.sequence_number)];
  if (entry.used) return InsertOutcome::kDuplicate;
  entry.used = true;
  entry.packet = packet;
  entry.packet.padding = 0;
  const MutableByteView slot = Slot(packet.sequence_number);
  ByteWriter writer(slot);
  writer.Bytes(packet.payload);
  writer.Zeros(kMaxRunPadding);
  writer.Bytes(packet.dependency_descriptor);
  entry.packet.payload = ByteView(slot).first(packet.payload.size());
  entry.packet.dependency_descriptor =
      ByteView(slot).subspan(packet.payload.size() + kMaxRunPadding, packet.dependency_descriptor.size());
  stored = &entry.packet;
  return InsertOutcome::kStored;
}

SourcePacket* PacketRing::FindToCorrect(int64_t sequence_number) {
  if (!InWindow(sequence_number)) return nullptr;
  Entry& entry = entries_[Index(sequence_number)];
  return entry.used && !Expired(entry.packet) ? &entry.packet : nullptr;
}

void PacketRing::Pad(int64_t sequence_number, uint8_t bytes) {
  SourcePacket* packet = FindToCorrect(sequence_number);
  if (packet == nullptr || packet->padding != 0 || bytes == 0 || bytes > kMaxRunPadding) return;
  packet->padding = bytes;
  // The last byte is the number of padding bytes (RFC 3550 section 5.1); the others are already zero.
  Slot(sequence_number)[packet->payload.size() + bytes - 1] = bytes;
}

const SourcePacket* PacketRing::Find(int64_t sequence_number) const {
  if (!InWindow(sequence_number)) return nullptr;
  const Entry& entry = entries_[Index(sequence_number)];
  return entry.used && !Expired(entry.packet) ? &entry.packet : nullptr;
}

}  // namespace nexus
