// A bounded queue of events from the shards to the poller, with a descriptor that is readable while it has
// events.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "engine/control/event.h"

namespace nexus {

class EventRing {
 public:
  explicit EventRing(size_t max_events);
  ~EventRing();
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  int fd() const { return fd_; }
  // Adds all events of one tick. Those that do not fit are dropped and counted; `events` is empty afterwards.
  void Push(std::vector<Event>& events);
  std::vector<Event> Take(size_t limit);
  uint64_t dropped() const;

 private:
  const size_t max_events_;
  const int fd_;
  mutable std::mutex mutex_;
  std::deque<Event> events_;
  uint64_t dropped_ = 0;
};

}  // namespace nexus
