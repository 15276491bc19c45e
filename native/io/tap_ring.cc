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

void TapRing::OpenRetained(TapId tap, Duration retention, uint64_t first_position) {
  const std::lock_guard lock(mutex_);
  outbox_.OpenRetained(tap, retention, first_position);
}

void TapRing::Feed(TapId feed, TapId tap) {
  const std::lock_guard lock(mutex_);
  outbox_.Feed(feed, tap);
}

void TapRing::Close(TapId tap) {
  const std::lock_guard lock(mutex_);
  outbox_.Close(tap);
}

size_t TapRing::size() const {
  const std::lock_guard lock(mutex_);
  return outbox_.size();
}

void TapRing::Push(std::vector<TapBatch>& batches, Timestamp now) {
  if (batches.empty()) return;
  const std::lock_guard lock(mutex_);
  for (TapBatch& batch : batches) outbox_.Push(std::move(batch), now);
  outbox_.LimitRetained(max_retained_);
  batches.clear();
  eventfd_write(fd_, 1);
}

void TapRing::ResumeAfter(TapId tap, uint64_t position) {
  const std::lock_guard lock(mutex_);
  outbox_.ResumeAfter(tap, position);
  eventfd_write(fd_, 1);
}

void TapRing::Acknowledge(TapId tap, uint64_t position) {
  const std::lock_guard lock(mutex_);
  outbox_.Acknowledge(tap, position);
}

void TapRing::Expire(Timestamp now) {
  const std::lock_guard lock(mutex_);
  outbox_.Expire(now);
}

RetainedTapState TapRing::State(TapId tap) const {
  const std::lock_guard lock(mutex_);
  const RetainedRecords* kept = outbox_.Retained(tap);
  if (kept == nullptr) return {};
  return {kept->bytes(), kept->record_count(), kept->position(), kept->ended()};
}

RetainedTotals TapRing::totals() const {
  const std::lock_guard lock(mutex_);
  return {outbox_.retained_bytes(), outbox_.retained_packets_dropped()};
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
