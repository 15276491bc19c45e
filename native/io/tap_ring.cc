#include "io/tap_ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace nexus {

TapRing::TapRing() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

TapRing::~TapRing() { close(fd_); }

void TapRing::Open(TapId tap, size_t max_bytes) {
  const std::lock_guard lock(mutex_);
  outbox_.Open(tap, max_bytes);
}

void TapRing::Close(TapId tap) {
  const std::lock_guard lock(mutex_);
  outbox_.Close(tap);
}

size_t TapRing::size() const {
  const std::lock_guard lock(mutex_);
  return outbox_.size();
}

void TapRing::Push(std::vector<TapBatch>& batches) {
  if (batches.empty()) return;
  const std::lock_guard lock(mutex_);
  for (TapBatch& batch : batches) outbox_.Push(std::move(batch));
  batches.clear();
  eventfd_write(fd_, 1);
}

std::vector<TapId> TapRing::TakeReady() {
  const std::lock_guard lock(mutex_);
  eventfd_t value = 0;
  eventfd_read(fd_, &value);
  return outbox_.TakeReady();
}

TapBatch TapRing::Take(TapId tap, size_t limit) {
  const std::lock_guard lock(mutex_);
  return outbox_.Take(tap, limit);
}

}  // namespace nexus
