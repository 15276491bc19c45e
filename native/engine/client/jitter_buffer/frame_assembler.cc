#include "engine/client/jitter_buffer/frame_assembler.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace nexus {

FrameAssembler::FrameAssembler(Codec codec, const FrameAssemblerConfig& config)
    : codec_(codec),
      config_(config),
      mask_(std::bit_ceil(std::max<size_t>(config.packets, 2)) - 1),
      slots_(mask_ + 1) {}

FrameAssembler::Slot* FrameAssembler::Find(int64_t sequence) {
  Slot& slot = At(sequence);
  return slot.use != Use::kFree && slot.sequence == sequence ? &slot : nullptr;
}

void FrameAssembler::Insert(const AssemblerPacket& packet) {
  const int64_t sequence = packet.sequence_number;
  const auto capacity = static_cast<int64_t>(slots_.size());
  if (sequence < oldest_ || (newest_ && sequence <= *newest_ - capacity)) {
    ++counters_.too_old;
    return;
  }
  if (Find(sequence) != nullptr) {
    ++counters_.duplicates;
    return;
  }
  FramePart part;
  if (!packet.payload.empty()) {
    const auto read = InspectFramePart(codec_, packet.payload);
    if (!read) {
      ++counters_.unreadable;
      return;
    }
    part = *read;
  }
  Slot& slot = At(sequence);
  if (slot.use == Use::kHeld) {
    ++counters_.pushed_out;
    --held_;
  }
  slot.sequence = sequence;
  slot.use = Use::kHeld;
  slot.timestamp = packet.timestamp;
  slot.marker = packet.marker;
  slot.empty = packet.payload.empty();
  slot.part = part;
  slot.source = packet.source;
  slot.payload.assign(packet.payload.begin(), packet.payload.end());
  ++held_;
  newest_ = std::max(newest_.value_or(sequence), sequence);
  if (slot.empty) {
    // A probe has no frame. The packet after it may now be known as the first of a frame.
    slot.use = Use::kTaken;
    --held_;
    Complete(sequence + 1);
  } else {
    Complete(sequence);
    // A frame ends here, so the next packet begins one.
    if (packet.marker) Complete(sequence + 1);
  }
}

bool FrameAssembler::IsStart(const Slot& slot) {
  if (slot.part.begins) return true;
  for (int64_t before = slot.sequence - 1; before > slot.sequence - 64; --before) {
    const Slot* previous = Find(before);
    if (previous == nullptr) return false;
    if (previous->empty) continue;  // probes stand between frames
    return previous->marker || previous->timestamp != slot.timestamp;
  }
  return false;
}

void FrameAssembler::Complete(int64_t sequence) {
  const Slot* slot = Find(sequence);
  if (slot == nullptr || slot->use != Use::kHeld) return;
  int64_t first = sequence;
  while (!IsStart(At(first))) {
    const Slot* before = Find(first - 1);
    if (before == nullptr || before->use != Use::kHeld || before->timestamp != slot->timestamp) return;
    --first;
  }
  int64_t last = sequence;
  while (!At(last).marker) {
    const Slot* behind = Find(last + 1);
    if (behind == nullptr || behind->use != Use::kHeld || behind->timestamp != slot->timestamp) return;
    ++last;
  }
  Emit(first, last);
}

void FrameAssembler::Emit(int64_t first, int64_t last) {
  AssembledFrame frame;
  frame.first_sequence = first;
  frame.last_sequence = last;
  const Slot& head = At(first);
  frame.timestamp = head.timestamp;
  frame.temporal_id = head.part.temporal_id;
  frame.source = head.source;
  frame.discardable = true;
  parts_.clear();
  size_t bytes = 0;
  for (int64_t i = first; i <= last; ++i) {
    Slot& slot = At(i);
    parts_.push_back(slot.payload);
    bytes += slot.payload.size();
    // The first packet tells for VP8 and VP9; H.264 and AV1 may tell later (parameter sets, then the IDR
    // slice).
    frame.keyframe |= slot.part.keyframe;
    frame.discardable &= slot.part.discardable;
    slot.use = Use::kTaken;
    --held_;
  }
  const bool fits = bytes <= config_.max_frame_bytes && frames_.size() < config_.max_waiting_frames;
  if (!fits || !Depacketize(codec_, parts_, frame.bitstream)) {
    ++counters_.broken_frames;
    return;
  }
  ++counters_.frames;
  frames_.push_back(std::move(frame));
}

std::optional<AssembledFrame> FrameAssembler::Poll() {
  if (frames_.empty()) return std::nullopt;
  AssembledFrame frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

int64_t FrameAssembler::SkipProbes(int64_t sequence_number) const {
  while (true) {
    const Slot& slot = slots_[static_cast<size_t>(sequence_number) & mask_];
    if (slot.sequence != sequence_number || slot.use != Use::kTaken || !slot.empty) return sequence_number;
    ++sequence_number;
  }
}

void FrameAssembler::DropBefore(int64_t sequence_number) {
  if (sequence_number <= oldest_) return;
  if (newest_) {
    const int64_t from = std::max(oldest_, *newest_ - static_cast<int64_t>(mask_));
    for (int64_t i = from; i < std::min(sequence_number, *newest_ + 1); ++i) {
      Slot& slot = At(i);
      if (slot.sequence != i || slot.use != Use::kHeld) continue;
      slot.use = Use::kTaken;
      --held_;
    }
  }
  oldest_ = sequence_number;
}

}  // namespace nexus
