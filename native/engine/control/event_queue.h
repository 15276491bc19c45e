// Events waiting to be polled. Bounded: when it is full, a new event is dropped and counted.
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "engine/control/drop_reason.h"
#include "engine/control/event.h"

namespace nexus {

class EventQueue {
 public:
  EventQueue(size_t max_events, DropCounters& drops) : max_events_(max_events), drops_(drops) {}

  void Push(Event event) {
    if (events_.size() >= max_events_) return drops_.Count(DropReason::kEventOverflow);
    events_.push_back(std::move(event));
  }
  std::optional<Event> Poll() {
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool empty() const { return events_.empty(); }

 private:
  size_t max_events_;
  DropCounters& drops_;
  std::deque<Event> events_;
};

}  // namespace nexus
