// A value that changes at certain (packet or frame) numbers. The last few changes are kept, so that a late
// packet gets the value that was valid at its number.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace nexus {

template <class Value>
class StepList {
 public:
  void Start(int64_t from, Value value) {
    count_ = 1;
    steps_[0] = {from, value};
  }
  bool empty() const { return count_ == 0; }
  const Value& newest() const { return steps_[count_ - 1].value; }
  // Changes the value at `from`, which must be after all earlier changes.
  void Push(int64_t from, Value value) {
    if (newest() == value) return;
    if (count_ == kMaxSteps) {
      std::move(steps_.begin() + 1, steps_.end(), steps_.begin());
      --count_;
    }
    steps_[count_++] = {from, value};
  }
  const Value& At(int64_t number) const {
    size_t i = count_ - 1;
    while (i > 0 && number < steps_[i].from) --i;
    return steps_[i].value;
  }

 private:
  static constexpr size_t kMaxSteps = 8;
  struct Step {
    int64_t from = 0;
    Value value{};
  };
  std::array<Step, kMaxSteps> steps_{};
  size_t count_ = 0;
};

}  // namespace nexus
