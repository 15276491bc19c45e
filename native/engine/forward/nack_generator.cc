#include "engine/forward/nack_generator.h"

#include <algorithm>

namespace nexus {

NackGenerator::NackGenerator(const NackConfig& config) : config_(config) {
  missing_.reserve(config.max_missing);
}

void NackGenerator::Restart(int64_t sequence_number) {
  counters_.given_up += missing_.size();
  ++counters_.restarts;
  missing_.clear();
  highest_ = sequence_number;
}

void NackGenerator::OnPacket(int64_t sequence_number, Timestamp now) {
  if (!highest_) {
    highest_ = sequence_number;
    return;
  }
  const int64_t jump = sequence_number - *highest_;
  if (jump > config_.max_gap || jump < -config_.max_gap) return Restart(sequence_number);
  if (jump <= 0) {
    const auto found =
        std::lower_bound(missing_.begin(), missing_.end(), sequence_number,
                         [](const Missing& m, int64_t sequence) { return m.sequence < sequence; });
    if (found == missing_.end() || found->sequence != sequence_number) return;
    missing_.erase(found);
    ++counters_.recovered;
    return;
  }
  const int64_t lost = jump - 1;
  const int64_t room = static_cast<int64_t>(config_.max_missing);
  const int64_t overflow = static_cast<int64_t>(missing_.size()) + lost - room;
  if (overflow > 0) {
    // The oldest are given up: they are the least likely to be of use still.
    const auto drop = std::min(static_cast<size_t>(overflow), missing_.size());
    missing_.erase(missing_.begin(), missing_.begin() + static_cast<std::ptrdiff_t>(drop));
    counters_.given_up += static_cast<uint64_t>(overflow);
  }
  for (int64_t i = std::max(*highest_ + 1, sequence_number - room); i < sequence_number; ++i) {
    missing_.push_back(Missing{i, now, now, 0});
  }
  highest_ = sequence_number;
}

Timestamp NackGenerator::DueAt(const Missing& missing, Duration rtt) const {
  if (missing.requests == 0) return missing.since + config_.reorder_patience;
  if (missing.requests < config_.max_requests)
    return missing.asked + std::max(rtt, config_.min_retry_interval);
  return missing.asked +
         std::max(rtt, patience_.count() > 0 ? config_.late_retry_interval : config_.min_retry_interval);
}

bool NackGenerator::Exhausted(const Missing& missing, Duration rtt, Timestamp now) const {
  return missing.requests >= config_.max_requests && DueAt(missing, rtt) <= now &&
         now - missing.since >= patience_;
}

size_t NackGenerator::Collect(Timestamp now, Duration rtt, std::span<uint16_t> out) {
  const auto given_up = std::remove_if(missing_.begin(), missing_.end(),
                                       [&](const Missing& missing) { return Exhausted(missing, rtt, now); });
  counters_.given_up += static_cast<uint64_t>(missing_.end() - given_up);
  missing_.erase(given_up, missing_.end());
  size_t count = 0;
  for (Missing& missing : missing_) {
    if (count == out.size()) break;
    if (DueAt(missing, rtt) > now) continue;
    out[count++] = static_cast<uint16_t>(missing.sequence);
    missing.asked = now;
    if (missing.requests < config_.max_requests) ++missing.requests;
  }
  counters_.requested += count;
  return count;
}

Timestamp NackGenerator::next_deadline(Duration rtt) const {
  Timestamp deadline = kNever;
  for (const Missing& missing : missing_) deadline = std::min(deadline, DueAt(missing, rtt));
  return deadline;
}

}  // namespace nexus
