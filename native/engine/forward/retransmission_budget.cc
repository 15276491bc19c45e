#include "engine/forward/retransmission_budget.h"

namespace nexus {

bool RetransmissionBudget::Take(size_t bytes, Timestamp now) {
  constexpr int64_t kMicrosPerSecond = 1'000'000;
  // A minute fills any bucket; the limit keeps the product small.
  const int64_t elapsed = std::clamp<int64_t>((now - filled_).count(), 0, 60 * kMicrosPerSecond);
  const uint64_t grown = static_cast<uint64_t>(elapsed) * config_.floor_bytes_per_second / kMicrosPerSecond;
  if (grown > 0) {  // otherwise the remainder would be lost at each call
    Fill(grown);
    filled_ = now;
  }
  if (bytes > available_) {
    ++refused_;
    return false;
  }
  available_ -= bytes;
  return true;
}

}  // namespace nexus
