#include "engine/client/encoding_rates.h"

#include <algorithm>
#include <utility>

namespace nexus {
namespace {

// Share of its minimum at which a layer is resumed: with 100 % it would flap.
constexpr uint64_t kComeBackPercent = 120;

}  // namespace

EncodingRates::EncodingRates(std::vector<EncodingLimits> limits)
    : limits_(std::move(limits)), rates_(limits_.size(), 0) {}

void EncodingRates::SetWanted(size_t encoding, bool wanted) {
  if (encoding < limits_.size()) limits_[encoding].wanted = wanted;
}

std::span<const uint64_t> EncodingRates::Allocate(uint64_t available_bps) {
  uint64_t left = available_bps;
  bool first = true;
  size_t top = limits_.size();
  bool cut = false;
  for (size_t i = 0; i < limits_.size(); ++i) {
    const EncodingLimits& limit = limits_[i];
    const bool was_on = rates_[i] > 0;
    rates_[i] = 0;
    if (!limit.wanted) continue;
    const uint64_t needed = was_on || first ? limit.min_bps : limit.min_bps * kComeBackPercent / 100;
    // A layer above one that does not fit is not sent either.
    if (!first && (cut || left < needed)) {
      cut = true;
      continue;
    }
    // The lowest layer is sent at its minimum even when that does not fit.
    rates_[i] = first ? std::clamp(left, limit.min_bps, std::max(limit.min_bps, limit.target_bps))
                      : std::min(left, limit.target_bps);
    left -= std::min(left, rates_[i]);
    first = false;
    top = i;
  }
  // The highest layer gets the remaining rate.
  if (top < limits_.size() && limits_[top].max_bps > rates_[top]) {
    rates_[top] += std::min(left, limits_[top].max_bps - rates_[top]);
  }
  return rates_;
}

}  // namespace nexus
