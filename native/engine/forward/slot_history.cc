#include "engine/forward/slot_history.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace nexus {
namespace {

uint16_t Milliseconds(Timestamp now) { return static_cast<uint16_t>(now.time_since_epoch().count() / 1000); }

}  // namespace

SlotHistory::SlotHistory(const SlotHistoryConfig& config)
    : config_(config),
      mask_(std::bit_ceil(std::clamp<size_t>(std::min(config.first_capacity, config.capacity), 2, 32'768)) -
            1),
      entries_(mask_ + 1) {}

void SlotHistory::Grow() {
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  std::vector<DescriptorPatch> old_descriptors(descriptors_.size() * 2);
  old_descriptors.swap(descriptors_);
  mask_ = entries_.size() - 1;
  for (size_t i = 0; i < old.size(); ++i) {
    if (!old[i].used) continue;
    const auto back = static_cast<uint16_t>(static_cast<uint16_t>(highest_) - old[i].sequence);
    const size_t place = static_cast<size_t>(highest_ - back) & mask_;
    entries_[place] = old[i];
    if (!descriptors_.empty()) descriptors_[place] = old_descriptors[i];
  }
}

void SlotHistory::OnSent(LayerId layer, int64_t source_sequence, const Rewritten& rewritten) {
  const Entry& before = entries_[static_cast<size_t>(rewritten.sequence_number) & mask_];
  const auto age = static_cast<int32_t>(rewritten.timestamp - before.timestamp);
  if (before.used && entries_.size() < config_.capacity && std::abs(age) < config_.keep_ticks) Grow();
  const int64_t capacity = static_cast<int64_t>(mask_) + 1;
  if (rewritten.sequence_number <= highest_ - capacity) return;  // its entry belongs to a newer packet
  highest_ = std::max(highest_, rewritten.sequence_number);
  Entry& entry = entries_[static_cast<size_t>(rewritten.sequence_number) & mask_];
  entry = Entry{};
  entry.source_sequence = source_sequence;
  entry.layer = layer.value;
  entry.timestamp = rewritten.timestamp;
  entry.csrc = rewritten.csrc;
  entry.sequence = static_cast<uint16_t>(rewritten.sequence_number);
  entry.used = 1;
  entry.marker = rewritten.marker ? 1 : 0;
  entry.empty = rewritten.empty ? 1 : 0;
  entry.patch_size = rewritten.patch.size & 0x0F;
  entry.patch_replaces = rewritten.patch.replaces & 0x0F;
  entry.patch = rewritten.patch.bytes;
  if (rewritten.descriptor.forwarded && descriptors_.empty()) descriptors_.resize(entries_.size());
  if (descriptors_.empty()) return;
  descriptors_[static_cast<size_t>(rewritten.sequence_number) & mask_] = rewritten.descriptor;
}

ResendOutcome SlotHistory::OnNack(uint16_t sequence_number, Timestamp now, Duration rtt, SentPacket& sent) {
  // A NACK is never for a newer packet than the newest, so the wrap needs no special case.
  const int64_t sequence =
      highest_ - static_cast<uint16_t>(static_cast<uint16_t>(highest_) - sequence_number);
  if (highest_ < 0 || sequence <= highest_ - static_cast<int64_t>(mask_) - 1) return ResendOutcome::kUnknown;
  Entry& entry = entries_[static_cast<size_t>(sequence) & mask_];
  if (!entry.used || entry.sequence != sequence_number) return ResendOutcome::kUnknown;
  if (entry.resends >= config_.max_resends) return ResendOutcome::kTooOften;
  if (entry.resends > 0 && TooSoon(entry, now, rtt)) return ResendOutcome::kTooSoon;
  ++entry.resends;
  entry.resent_ms = Milliseconds(now);
  sent = Describe(entry, sequence);
  return ResendOutcome::kResend;
}

std::optional<SentPacket> SlotHistory::Find(int64_t sequence_number) const {
  const int64_t capacity = static_cast<int64_t>(mask_) + 1;
  if (sequence_number > highest_ || sequence_number <= highest_ - capacity) return std::nullopt;
  const Entry& entry = entries_[static_cast<size_t>(sequence_number) & mask_];
  if (!entry.used || entry.sequence != static_cast<uint16_t>(sequence_number)) return std::nullopt;
  return Describe(entry, sequence_number);
}

bool SlotHistory::TooSoon(const Entry& entry, Timestamp now, Duration rtt) const {
  const Duration since{int64_t{1000} * static_cast<uint16_t>(Milliseconds(now) - entry.resent_ms)};
  return since < std::max(rtt, config_.min_resend_interval);
}

SentPacket SlotHistory::Describe(const Entry& entry, int64_t sequence) const {
  SentPacket sent;
  sent.layer = LayerId{entry.layer};
  sent.source_sequence = entry.source_sequence;
  sent.rewritten.sequence_number = sequence;
  sent.rewritten.timestamp = entry.timestamp;
  sent.rewritten.marker = entry.marker != 0;
  sent.rewritten.csrc = entry.csrc;
  sent.rewritten.empty = entry.empty != 0;
  sent.rewritten.patch.size = entry.patch_size;
  sent.rewritten.patch.replaces = entry.patch_replaces;
  sent.rewritten.patch.bytes = entry.patch;
  if (!descriptors_.empty()) sent.rewritten.descriptor = descriptors_[static_cast<size_t>(sequence) & mask_];
  return sent;
}

}  // namespace nexus
