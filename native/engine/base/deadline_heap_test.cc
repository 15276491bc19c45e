// Deadlines against a naive model.
#include "engine/base/deadline_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

namespace nexus {
namespace {

// Against a naive model: random moves, removals and deaths.
TEST(DeadlineHeap, ReturnsTheEarliestDeadline) {
  constexpr uint64_t kSeed = 42;
  std::mt19937 random(kSeed);
  using Heap = DeadlineHeap<size_t>;
  Heap heap;
  std::vector<std::unique_ptr<Heap::Deadline>> all;
  for (size_t i = 0; i < 50; ++i) all.push_back(std::make_unique<Heap::Deadline>(i));
  for (int step = 0; step < 20'000; ++step) {
    const size_t which = random() % all.size();
    switch (random() % 8) {
      case 0:
        heap.Set(*all[which], kNever);
        break;
      case 1:
        all[which] = std::make_unique<Heap::Deadline>(which);
        break;
      case 2: {
        const Timestamp now = TimestampFromMicros(random() % 1000);
        const Timestamp earliest = heap.next();
        const Heap::Deadline* due = heap.PopDue(now);
        EXPECT_EQ(due != nullptr, earliest <= now);
        if (due != nullptr) {
          EXPECT_EQ(all[due->owner()].get(), due);
        }
        break;
      }
      default:
        heap.Set(*all[which], TimestampFromMicros(random() % 1000));
    }
    Timestamp earliest = kNever;
    size_t waiting = 0;
    for (const auto& deadline : all) {
      earliest = std::min(earliest, deadline->at());
      waiting += deadline->at() != kNever ? 1 : 0;
    }
    ASSERT_EQ(heap.next(), earliest) << "seed " << kSeed << " step " << step;
    ASSERT_EQ(heap.size(), waiting);
  }
}

}  // namespace
}  // namespace nexus
