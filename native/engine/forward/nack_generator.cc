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
  if (jump > config_.max_gap) return Restart(sequence_number);
  if (jump < -config_.max_gap) return OnFarBehind(sequence_number);
  stray_.reset();
  if (jump <= 0) {
    const auto found =
        std::lower_bound(missing_.begin(), missing_.end(), sequence_number,
                         [](const Missing& m, int64_t sequence) { return m.sequence < sequence; });
    if (found == missing_.end() || found->sequence != sequence_number) return;
    OnFound(*found, now);
    missing_.erase(found);
    return;
  }
  const int64_t lost = jump - 1;
  const int64_t room = static_cast<int64_t>(config_.max_missing);
  const int64_t overflow = static_cast<int64_t>(missing_.size()) + lost - room;
  if (overflow > 0) {
    // The oldest are given up, because they are the least likely to be useful.
    const auto drop = std::min(static_cast<size_t>(overflow), missing_.size());
    missing_.erase(missing_.begin(), missing_.begin() + static_cast<std::ptrdiff_t>(drop));
    counters_.given_up += static_cast<uint64_t>(overflow);
    overflow_ = true;
  }
  for (int64_t i = std::max(*highest_ + 1, sequence_number - room); i < sequence_number; ++i) {
    missing_.push_back(Missing{i, now, now, 0});
  }
  highest_ = sequence_number;
}

// A single stray old packet must not discard the list; two in a row mean that the sender has restarted.
void NackGenerator::OnFarBehind(int64_t sequence_number) {
  const bool again = stray_ && sequence_number > *stray_ && sequence_number - *stray_ < config_.max_gap;
  if (again) {
    stray_.reset();
    return Restart(sequence_number);
  }
  stray_ = sequence_number;
}

void NackGenerator::OnFound(const Missing& missing, Timestamp now) {
  ++counters_.recovered;
  // After several requests it is unknown which of them was answered (as in Karn's algorithm for TCP).
  if (missing.requests != 1) return;
  const Duration sample = now - missing.asked;
  response_time_ = response_time_ ? (*response_time_ * 7 + sample) / 8 : sample;
}

Timestamp NackGenerator::DueAt(const Missing& missing, Duration rtt) const {
  if (missing.requests == 0) return missing.since + config_.reorder_patience;
  if (missing.requests >= config_.max_requests) {
    // Requests beyond the maximum only if there is patience: slowly, until it ends.
    return missing.asked +
           std::max(rtt, patience_.count() > 0 ? config_.late_retry_interval : config_.min_retry_interval);
  }
  Duration interval = std::max(rtt, config_.min_retry_interval);
  const Duration longest = std::max(interval, config_.max_retry_interval);
  for (int i = 1; i < missing.requests && interval < longest; ++i) interval = interval * 5 / 4;
  return missing.asked + std::min(interval, longest);
}

bool NackGenerator::Exhausted(const Missing& missing, Duration rtt, Timestamp now) const {
  const Duration age = now - missing.since;
  const bool asked_enough = missing.requests >= config_.max_requests && DueAt(missing, rtt) <= now;
  return (asked_enough || age >= config_.max_age) && age >= patience_;
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
