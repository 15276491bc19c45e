// Assembles whole frames from the packets of one video stream, in any order. A frame is complete when all
// packets of its timestamp are there, from the first (known by its payload descriptor, or because the packet
// before it ends a frame) to the one with the marker. Bounded by a ring of packets; time plays no role.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/frames/depacketizer.h"

namespace nexus {

struct AssemblerPacket {
  int64_t sequence_number = 0;  // unwrapped
  int64_t timestamp = 0;        // unwrapped
  bool marker = false;
  uint32_t source = 0;
  ByteView payload;  // empty: a probe that only takes a number
};

struct AssembledFrame {
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  int64_t timestamp = 0;
  bool keyframe = false;
  bool discardable = false;
  uint8_t temporal_id = 0;
  uint32_t source = 0;
  std::vector<uint8_t> bitstream;
};

struct FrameAssemblerConfig {
  size_t packets = 1024;  // maximum distance of the first and the last; a power of two
  size_t max_frame_bytes = 4u << 20;
  size_t max_waiting_frames = 128;  // complete, not polled
};

struct FrameAssemblerCounters {
  uint64_t frames = 0;
  uint64_t duplicates = 0;
  uint64_t too_old = 0;
  uint64_t unreadable = 0;     // a payload of another codec
  uint64_t broken_frames = 0;  // whole, but its packets do not fit together
  uint64_t pushed_out = 0;     // packets that newer ones replaced
};

class FrameAssembler {
 public:
  FrameAssembler(Codec codec, const FrameAssemblerConfig& config = {});

  void Insert(const AssemblerPacket& packet);
  std::optional<AssembledFrame> Poll();
  // Forgets packets before this number.
  void DropBefore(int64_t sequence_number);
  // The first number from this one on that is no probe.
  int64_t SkipProbes(int64_t sequence_number) const;
  size_t held() const { return held_; }
  const FrameAssemblerCounters& counters() const { return counters_; }

 private:
  enum class Use : uint8_t { kFree, kHeld, kTaken };  // taken: its frame was returned, its place is kept
  struct Slot {
    int64_t sequence = -1;
    Use use = Use::kFree;
    int64_t timestamp = 0;
    bool marker = false;
    bool empty = false;
    FramePart part;
    uint32_t source = 0;
    std::vector<uint8_t> payload;
  };
  Slot& At(int64_t sequence) { return slots_[static_cast<size_t>(sequence) & mask_]; }
  Slot* Find(int64_t sequence);
  bool IsStart(const Slot& slot);
  void Complete(int64_t sequence);
  void Emit(int64_t first, int64_t last);

  Codec codec_;
  FrameAssemblerConfig config_;
  size_t mask_;
  std::vector<Slot> slots_;
  std::optional<int64_t> newest_;
  int64_t oldest_ = 0;
  size_t held_ = 0;
  std::deque<AssembledFrame> frames_;
  std::vector<ByteView> parts_;
  FrameAssemblerCounters counters_;
};

}  // namespace nexus
