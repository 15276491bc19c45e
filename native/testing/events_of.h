// Selection of the events of one type from a list of variants.
#pragma once

#include <variant>
#include <vector>

namespace nexus::testing {

// The events of type `E`, in their order.
template <class E, class Event>
std::vector<E> EventsOf(const std::vector<Event>& events) {
  std::vector<E> found;
  for (const Event& event : events) {
    if (const auto* wanted = std::get_if<E>(&event)) found.push_back(*wanted);
  }
  return found;
}

}  // namespace nexus::testing
