// The batches that a tap's reader has not fetched yet, bounded by bytes. If the reader is slow, the oldest
// are dropped and replaced by one gap record; the state that a reader needs (source, muted) is kept.
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
  // The batch that replaces the dropped ones.
  TapBatch TellLost();

  size_t max_bytes_;
  std::deque<TapBatch> batches_;
  size_t bytes_ = 0;
  std::optional<TapBatch> lost_;      // numbers and counts, without records
  int64_t media_time_before_us_ = 0;  // of the last packet before the first batch
};

}  // namespace nexus
