#include "io/event_ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace nexus {

EventRing::EventRing(size_t max_events)
    : max_events_(max_events), fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

EventRing::~EventRing() { close(fd_); }

void EventRing::Push(std::vector<Event>& events) {
  if (events.empty()) return;
  const std::lock_guard lock(mutex_);
  const bool was_empty = events_.empty();
  for (Event& event : events) {
    if (events_.size() < max_events_) {
      events_.push_back(std::move(event));
    } else {
      ++dropped_;
    }
  }
  events.clear();
  if (was_empty) eventfd_write(fd_, 1);
}

std::vector<Event> EventRing::Take(size_t limit) {
  const std::lock_guard lock(mutex_);
  const size_t count = std::min(limit, events_.size());
  std::vector<Event> taken;
  taken.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    taken.push_back(std::move(events_.front()));
    events_.pop_front();
  }
  eventfd_t value = 0;
  if (events_.empty()) eventfd_read(fd_, &value);
  return taken;
}

uint64_t EventRing::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace nexus
