// From a source's numbers (of packets, of pictures) to a slot's, while one binding lasts: a constant offset
// that shrinks by one behind each packet that is left out (a padding-only probe, a layer) and grows where one
// is put in. Remembers the last changes, so that late packets find their number.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/prefetch.h"

namespace nexus {

class SequenceMap {
 public:
  // The source's `first` becomes `out`.
  void Start(int64_t first, int64_t out);
  // Leaves `source` out; only for a number above all that came (highest() + anything).
  void LeaveOut(int64_t source);
  // Leaves a number of the slot's free in front of `source`'s; the same holds.
  void MakeRoom(int64_t source);
  void Seen(int64_t source);
  void Prefetch() const { PrefetchForWrite(&begin_, kCacheLine); }
  // One number of the slot's own behind everything that came: what comes next goes one further.
  void Insert();
  // Nothing for numbers before the start, those left out, and those older than what is remembered.
  std::optional<int64_t> Map(int64_t source) const;
  int64_t highest() const { return highest_; }
  int64_t first() const { return first_; }

 private:
  void Push(int64_t from, int64_t offset, int64_t left_out);

  static constexpr size_t kMaxChanges = 64;
  struct Change {
    int64_t from;  // valid for source numbers >= from
    int64_t offset;
    int64_t left_out;  // so many numbers right below `from` were left out
  };
  std::array<Change, kMaxChanges> changes_{};
  size_t begin_ = 0;  // ring
  size_t count_ = 0;
  int64_t first_ = 0;
  int64_t highest_ = 0;
};

}  // namespace nexus
