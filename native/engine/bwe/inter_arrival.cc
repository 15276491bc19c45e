#include "engine/bwe/inter_arrival.h"

#include <algorithm>

namespace nexus {
namespace {

constexpr Duration kGroupLength{5'000};
constexpr Duration kBurstSpacing{5'000};
constexpr Duration kMaxBurst{100'000};
// A larger jump between arrivals means that the clock has changed.
constexpr Duration kClockJump = std::chrono::seconds(3);
constexpr int kMaxReordered = 3;

}  // namespace

void InterArrival::Reset() {
  current_.reset();
  previous_.reset();
  reordered_ = 0;
}

bool InterArrival::BelongsToBurst(Timestamp sent, Timestamp arrived) const {
  const Duration arrival = arrived - current_->last_arrived;
  const Duration departure = sent - current_->last_sent;
  if (departure == Duration(0)) return true;
  return arrival < departure && arrival <= kBurstSpacing && arrived - current_->first_arrived < kMaxBurst;
}

std::optional<GroupDelta> InterArrival::OnPacket(Timestamp sent, Timestamp arrived) {
  if (!current_) {
    Begin(sent, arrived);
    return std::nullopt;
  }
  if (sent < current_->first_sent) return std::nullopt;  // belongs to a finished group
  if (sent - current_->first_sent <= kGroupLength || BelongsToBurst(sent, arrived)) {
    current_->last_sent = std::max(current_->last_sent, sent);
    current_->last_arrived = std::max(current_->last_arrived, arrived);
    return std::nullopt;
  }
  std::optional<GroupDelta> delta;
  if (previous_) {
    delta = GroupDelta{current_->last_sent - previous_->last_sent,
                       current_->last_arrived - previous_->last_arrived};
    if (delta->arrival - delta->departure >= kClockJump) {
      Reset();
      return std::nullopt;
    }
    if (delta->arrival < Duration(0)) {
      if (++reordered_ >= kMaxReordered) Reset();
      return std::nullopt;
    }
    reordered_ = 0;
  }
  previous_ = current_;
  Begin(sent, arrived);
  return delta;
}

}  // namespace nexus
