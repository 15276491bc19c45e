// Maps a source's numbers (of packets or frames) to a slot's during one binding: an offset that shrinks by
// one after each number that is left out (a padding-only probe, a layer) and grows by one where a number is
// inserted. The latest changes are remembered, so that late packets are mapped correctly.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/prefetch.h"

namespace nexus {

class SequenceMap {
 public:
  // Maps the source's number `first` to `out`.
  void Start(int64_t first, int64_t out);
  // Leaves `source` out; only for a number above all that were seen.
  void LeaveOut(int64_t source);
  // Leaves one of the slot's numbers free before `source`; only for a number above all that were seen.
  void MakeRoom(int64_t source);
  void Seen(int64_t source);
  void Prefetch() const { PrefetchForWrite(&begin_, kCacheLine); }
  // Inserts one number after everything seen so far; the source's next number follows it.
  void Insert();
  // Nothing for numbers before the start, those left out, and those older than the remembered changes.
  std::optional<int64_t> Map(int64_t source) const;
  int64_t highest() const { return highest_; }
  int64_t first() const { return first_; }

 private:
  void Push(int64_t from, int64_t offset, int64_t left_out);

  static constexpr size_t kMaxChanges = 64;
  struct Change {
    int64_t from;  // valid for source numbers >= from
    int64_t offset;
    int64_t left_out;  // how many numbers just below `from` were left out
  };
  std::array<Change, kMaxChanges> changes_{};
  size_t begin_ = 0;  // ring
  size_t count_ = 0;
  int64_t first_ = 0;
  int64_t highest_ = 0;
};

}  // namespace nexus
