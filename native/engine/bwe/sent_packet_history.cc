#include "engine/bwe/sent_packet_history.h"

#include <algorithm>
#include <bit>

namespace nexus {
namespace {

constexpr size_t kFirstCapacity = 128;
// Half of the 16-bit number space: an older number would be indistinguishable from a future one.
constexpr size_t kLargestCapacity = 32'768;

}  // namespace

SentPacketHistory::SentPacketHistory(size_t max_packets)
    : max_packets_(std::bit_floor(std::clamp(max_packets, kFirstCapacity, kLargestCapacity))),
      entries_(kFirstCapacity) {}

void SentPacketHistory::OnSent(int64_t sequence, const SentRecord& record) {
  MakeRoom(sequence);
  Entry& entry = At(sequence);
  if (StateOf(entry) == State::kInFlight) {
    in_flight_bytes_ -= entry.size;
    ++forgotten_;
  }
  entry.sent_us = record.sent.time_since_epoch().count();
  entry.size = record.size;
  entry.cluster = record.cluster;
  entry.sequence = static_cast<uint32_t>(sequence);
  SetState(entry, State::kInFlight);
  in_flight_bytes_ += record.size;
  newest_ = sequence;
}

// Doubles the table while the entry is occupied by a packet that is still in flight.
void SentPacketHistory::MakeRoom(int64_t sequence) {
  if (StateOf(At(sequence)) != State::kInFlight || entries_.size() >= max_packets_) return;
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (StateOf(entry) == State::kFree) continue;
    const auto back = static_cast<int64_t>(static_cast<uint32_t>(sequence) - entry.sequence);
    At(sequence - back) = entry;
  }
}

FeedbackOutcome SentPacketHistory::OnFeedback(int64_t sequence, bool received, SentRecord& record) {
  if (!newest_ || sequence > *newest_) return FeedbackOutcome::kUnknown;
  Entry& entry = At(sequence);
  const State before = StateOf(entry);
  if (before == State::kFree || entry.sequence != static_cast<uint32_t>(sequence))
    return FeedbackOutcome::kUnknown;
  if (before == State::kReceived || (before == State::kLost && !received)) return FeedbackOutcome::kRepeated;
  record.sent = TimestampFromMicros(entry.sent_us);
  record.size = entry.size;
  record.cluster = entry.cluster;
  if (before == State::kInFlight) in_flight_bytes_ -= entry.size;
  SetState(entry, received ? State::kReceived : State::kLost);
  if (!received) return FeedbackOutcome::kLost;
  return before == State::kLost ? FeedbackOutcome::kRecovered : FeedbackOutcome::kReceived;
}

std::optional<int64_t> SentPacketHistory::Unwrap(uint16_t sequence) const {
  if (!newest_) return std::nullopt;
  const auto back = static_cast<uint16_t>(static_cast<uint16_t>(*newest_) - sequence);
  if (back >= kLargestCapacity) return std::nullopt;  // never sent
  return *newest_ - back;
}

}  // namespace nexus
