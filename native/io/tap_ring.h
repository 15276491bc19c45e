// A queue of tap records from the shards to their readers, bounded for each tap, with a descriptor that
// becomes readable when records arrive.
#pragma once

#include <mutex>
#include <vector>

#include "engine/tap/tap_outbox.h"

namespace nexus {

// The size of the records that a named tap keeps.
struct RetainedTapState {
  uint64_t bytes = 0;
  uint64_t records = 0;
  uint64_t position = 0;
  bool ended = false;  // the track that feeds it has ended
};

// Sums over all named taps.
struct RetainedTotals {
  uint64_t bytes = 0;
  uint64_t packets_dropped = 0;
};

class TapRing {
 public:
  TapRing();
  ~TapRing();
  TapRing(const TapRing&) = delete;
  TapRing& operator=(const TapRing&) = delete;

  int fd() const { return fd_; }
  void Open(TapId tap, size_t max_bytes);
  void OpenRetained(TapId tap, Duration retention, uint64_t first_position);
  void Feed(TapId feed, TapId tap);
  void Close(TapId tap);
  size_t size() const;
  // Adds all batches of one tick; `batches` is empty afterwards.
  void Push(std::vector<TapBatch>& batches, Timestamp now);
  std::vector<TapId> TakeReady();
  TapBatch Take(TapId tap, size_t limit);

  void ResumeAfter(TapId tap, uint64_t position);
  void Acknowledge(TapId tap, uint64_t position);
  void Expire(Timestamp now);
  RetainedTapState State(TapId tap) const;
  // Maximum size of all records that named taps keep.
  void LimitRetained(size_t max_bytes) { max_retained_ = max_bytes; }
  RetainedTotals totals() const;

 private:
  const int fd_;
  size_t max_retained_ = 512u << 20;
  mutable std::mutex mutex_;
  TapOutbox outbox_;
};

}  // namespace nexus
