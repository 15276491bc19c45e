#include "engine/forward/twcc_recorder.h"

#include <algorithm>

namespace nexus {

TwccRecorder::TwccRecorder(const TwccRecorderConfig& config) : config_(config) {
  arrivals_.reserve(config.max_recorded);
}

void TwccRecorder::OnPacket(uint16_t sequence, Timestamp arrival) {
  const int64_t number = unwrapper_.Unwrap(sequence);
  if (next_base_ && number < *next_base_ - config_.reorder_window) {
    ++counters_.too_late;
    return;
  }
  const auto place = std::lower_bound(arrivals_.begin(), arrivals_.end(), number,
                                      [](const TwccArrival& a, int64_t n) { return a.sequence < n; });
  if ((place != arrivals_.end() && place->sequence == number) || WasReported(number)) {
    ++counters_.duplicates;
    return;
  }
  if (arrivals_.size() >= config_.max_recorded) {
    ++counters_.overflow;
    return;
  }
  arrivals_.insert(place, TwccArrival{number, arrival});
  if (!first_waiting_) first_waiting_ = arrival;
}

bool TwccRecorder::WasReported(int64_t number) const {
  return next_base_ && number < *next_base_ &&
         reported_[static_cast<size_t>(number) % reported_.size()] == number;
}

Timestamp TwccRecorder::next_deadline() const {
  if (arrivals_.empty()) return kNever;
  if (arrivals_.size() >= config_.max_packets) return Timestamp::min();
  return std::max(*first_waiting_, last_feedback_.value_or(*first_waiting_)) + config_.interval;
}

size_t TwccRecorder::WriteFeedback(MutableByteView out, Ssrc sender, Ssrc media, Timestamp now) {
  if (arrivals_.empty()) return 0;
  const int64_t first = arrivals_.front().sequence;
  int64_t base = next_base_.value_or(first);
  size_t count = arrivals_.size();
  if (first < base) {
    // Late packets are reported in feedbacks of their own, one per unbroken sequence, so that packets which
    // were already reported are not reported as lost.
    base = first;
    count = 1;
    while (count < arrivals_.size() && arrivals_[count].sequence == first + static_cast<int64_t>(count) &&
           arrivals_[count].sequence < *next_base_) {
      ++count;
    }
  } else if (first - base > kMaxReportedGap) {
    base = first;  // the sender has jumped, by more than a feedback can count
  }
  const auto result = WriteTwccFeedback(out, sender, media, feedback_count_, base,
                                        std::span<const TwccArrival>(arrivals_).first(count));
  if (result.size == 0) return 0;
  for (size_t i = 0; i < result.consumed; ++i) {
    const int64_t number = arrivals_[i].sequence;
    reported_[static_cast<size_t>(number) % reported_.size()] = number;
  }
  const int64_t next = arrivals_[result.consumed - 1].sequence + 1;
  next_base_ = std::max(next_base_.value_or(next), next);
  arrivals_.erase(arrivals_.begin(), arrivals_.begin() + static_cast<std::ptrdiff_t>(result.consumed));
  ++feedback_count_;
  ++counters_.feedbacks;
  last_feedback_ = now;
  first_waiting_.reset();
  if (!arrivals_.empty()) first_waiting_ = now;
  return result.size;
}

}  // namespace nexus
