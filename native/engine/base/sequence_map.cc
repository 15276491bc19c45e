#include "engine/base/sequence_map.h"

#include <algorithm>

namespace nexus {

void SequenceMap::Start(int64_t first, int64_t out) {
  begin_ = 0;
  count_ = 1;
  changes_[0] = Change{first, out - first, 0};
  first_ = first;
  highest_ = first;
}

void SequenceMap::Seen(int64_t source) { highest_ = std::max(highest_, source); }

void SequenceMap::LeaveOut(int64_t source) {
  if (source <= highest_) return;
  Change& last = changes_[(begin_ + count_ - 1) % kMaxChanges];
  if (last.from == source && last.left_out > 0) {
    // This probe follows the last one that was left out.
    last.from = source + 1;
    --last.offset;
    ++last.left_out;
  } else {
    Push(source + 1, last.offset - 1, 1);
  }
  highest_ = source;
}

void SequenceMap::MakeRoom(int64_t source) {
  if (source <= highest_) return;
  Push(source, changes_[(begin_ + count_ - 1) % kMaxChanges].offset + 1, 0);
}

void SequenceMap::Insert() {
  Change& last = changes_[(begin_ + count_ - 1) % kMaxChanges];
  if (last.from > highest_) {
    ++last.offset;
  } else {
    Push(highest_ + 1, last.offset + 1, 0);
  }
}

void SequenceMap::Push(int64_t from, int64_t offset, int64_t left_out) {
  if (count_ == kMaxChanges) {
    begin_ = (begin_ + 1) % kMaxChanges;
    --count_;
  }
  changes_[(begin_ + count_) % kMaxChanges] = Change{from, offset, left_out};
  ++count_;
}

std::optional<int64_t> SequenceMap::Map(int64_t source) const {
  if (source < first_) return std::nullopt;
  for (size_t i = count_; i > 0; --i) {
    const Change& change = changes_[(begin_ + i - 1) % kMaxChanges];
    if (source >= change.from) return source + change.offset;
    if (source >= change.from - change.left_out) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace nexus
