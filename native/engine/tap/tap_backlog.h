// What one tap's reader has not fetched yet: bounded by bytes. When the reader is slow the oldest goes, and
// in its place stands one gap record that says so; what a reader must know (the source, whether it is muted)
// is kept.
#pragma once

#include <deque>
#include <optional>

#include "engine/tap/tap_settings.h"

namespace nexus {

class TapBacklog {
 public:
  explicit TapBacklog(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Push(TapBatch batch);
  std::optional<TapBatch> Pop();
  bool empty() const { return batches_.empty() && !lost_; }
  size_t bytes() const { return bytes_; }

 private:
  void DropOldest();
  // The batch that stands for what was dropped.
  TapBatch TellLost();

  size_t max_bytes_;
  std::deque<TapBatch> batches_;
  size_t bytes_ = 0;
  std::optional<TapBatch> lost_;  // its numbers and counts, no records
};

}  // namespace nexus
