// Unwraps counters that roll over (RTP sequence numbers and timestamps) into 64-bit ones, once, at the
// border.
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>

namespace nexus {

// The unwrapped value is the one nearest to the last value. The first value is in the second cycle, so that
// packets older than the first have a number above zero.
template <class Wire>
class Unwrapper {
  static_assert(std::is_unsigned_v<Wire>);

 public:
  int64_t Unwrap(Wire value) {
    last_ = Peek(value);
    return *last_;
  }
  int64_t Peek(Wire value) const {
    if (!last_) return (int64_t{1} << (8 * sizeof(Wire))) + value;
    const Wire forward = static_cast<Wire>(value - static_cast<Wire>(*last_));
    return *last_ + static_cast<std::make_signed_t<Wire>>(forward);
  }
  void Reset() { last_.reset(); }

 private:
  std::optional<int64_t> last_;
};

}  // namespace nexus
