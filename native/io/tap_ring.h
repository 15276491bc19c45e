// A queue of tap records from the shards to their readers, bounded for each tap, with a descriptor that
// becomes readable when records arrive.
#pragma once

#include <mutex>
#include <vector>

#include "engine/tap/tap_outbox.h"

namespace nexus {

class TapRing {
 public:
  TapRing();
  ~TapRing();
  TapRing(const TapRing&) = delete;
  TapRing& operator=(const TapRing&) = delete;

  int fd() const { return fd_; }
  void Open(TapId tap, size_t max_bytes);
  void Close(TapId tap);
  size_t size() const;
  // Adds all batches of one tick; `batches` is empty afterwards.
  void Push(std::vector<TapBatch>& batches);
  std::vector<TapId> TakeReady();
  TapBatch Take(TapId tap, size_t limit);

 private:
  const int fd_;
  mutable std::mutex mutex_;
  TapOutbox outbox_;
};

}  // namespace nexus
