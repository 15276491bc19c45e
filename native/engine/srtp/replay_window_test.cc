// The replay window, compared with an unbounded model.
#include "engine/srtp/replay_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace nexus {
namespace {

// A model without a bound.
class NaiveWindow {
 public:
  ReplayVerdict Check(uint64_t index) const {
    if (seen_.empty() || index > *seen_.rbegin()) return ReplayVerdict::kFresh;
    if (index + ReplayWindow::kSize <= *seen_.rbegin()) return ReplayVerdict::kTooOld;
    return seen_.contains(index) ? ReplayVerdict::kReplayed : ReplayVerdict::kFresh;
  }
  void Commit(uint64_t index) { seen_.insert(index); }

 private:
  std::set<uint64_t> seen_;
};

TEST(ReplayWindow, AgreesWithAnUnboundedModel) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    ReplayWindow window;
    NaiveWindow model;
    uint64_t head = random() % 4 == 0 ? 0 : random() % 100'000;
    int verdicts[3] = {};
    for (int i = 0; i < 20'000; ++i) {
      switch (random() % 20) {
        case 0:
          head += random() % 3'000;  // a jump, sometimes beyond the window
          break;
        case 1:
          head += ReplayWindow::kSize - 1 + random() % 3;  // around its size
          break;
        default:
          head += random() % 3;
      }
      const uint64_t back = random() % 1'200;
      const uint64_t index = random() % 2 == 0 || back > head ? head : head - back;
      const ReplayVerdict verdict = window.Check(index);
      ASSERT_EQ(verdict, model.Check(index)) << "seed " << seed << ", step " << i << ", index " << index;
      ++verdicts[static_cast<int>(verdict)];
      // Sometimes authentication fails, and nothing is committed.
      if (verdict == ReplayVerdict::kFresh && random() % 10 != 0) {
        window.Commit(index);
        model.Commit(index);
      }
    }
    EXPECT_GT(*std::min_element(verdicts, verdicts + 3), 100) << "the sequence must produce every verdict";
  }
}

TEST(ReplayWindow, HoldsExactlyItsSize) {
  ReplayWindow window;
  window.Commit(0);
  window.Commit(1023);
  EXPECT_EQ(window.Check(0), ReplayVerdict::kReplayed);
  window.Commit(1024);
  EXPECT_EQ(window.Check(0), ReplayVerdict::kTooOld);
  EXPECT_EQ(window.Check(1), ReplayVerdict::kFresh);
}

}  // namespace
}  // namespace nexus
