// Maps a source's RTP times to a slot's for the life of one binding: an offset with a few corrections, each
// valid from a source time on. A jump of the source's time starts a new mapping; late packets from before the
// jump keep the old one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/base/prefetch.h"

namespace nexus {

class SourceTimeMap {
 public:
  // The binding's first packet: its source time is mapped to `out`.
  void Start(int64_t sequence, int64_t source_time, int64_t out) {
    Begin(sequence, source_time, out);
    before_jump_ = offset();
  }
  // The source's time has jumped with this packet.
  void Jump(int64_t sequence, int64_t source_time, int64_t out) {
    const int64_t before = offset();
    Begin(sequence, source_time, out);
    before_jump_ = before;
  }
  // Everything from `source_time` on is later by `step`.
  void Correct(int64_t source_time, int64_t step) { Push({source_time, offset() + step}); }

  int64_t offset() const { return steps_[count_ - 1].offset; }
  int64_t Map(int64_t sequence, int64_t source_time) const {
    // Packets of the first frame after the jump may arrive after the one that revealed it.
    if (sequence < first_sequence_ && source_time != first_time_) return source_time + before_jump_;
    for (size_t i = count_; i > 1; --i) {
      if (source_time >= steps_[i - 1].from) return source_time + steps_[i - 1].offset;
    }
    return source_time + steps_[0].offset;
  }
  void Prefetch() const { PrefetchForWrite(this, sizeof *this); }

 private:
  static constexpr size_t kMaxSteps = 8;
  struct Step {
    int64_t from;  // the first source time
    int64_t offset;
  };

  void Begin(int64_t sequence, int64_t source_time, int64_t out) {
    first_sequence_ = sequence;
    first_time_ = source_time;
    count_ = 0;
    Push({source_time, out - source_time});
  }
  void Push(const Step& step) {
    if (count_ == kMaxSteps) {
      std::move(steps_.begin() + 1, steps_.end(), steps_.begin());
      --count_;
    }
    steps_[count_++] = step;
  }

  std::array<Step, kMaxSteps> steps_{};  // oldest first
  size_t count_ = 0;
  int64_t first_sequence_ = 0;
  int64_t first_time_ = 0;
  int64_t before_jump_ = 0;
};

}  // namespace nexus
