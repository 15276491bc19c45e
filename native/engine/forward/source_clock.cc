#include "engine/forward/source_clock.h"

#include <algorithm>
#include <cstdlib>

namespace nexus {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Two reports of one sender disagree by less than this unless a clock was set.
constexpr int64_t kJumpUs = 100'000;

int64_t RtpToMicros(int64_t rtp, uint32_t clock_rate) {
  // In two steps, so that no product overflows however far the timestamps are apart.
  const int64_t rate = clock_rate;
  return rtp / rate * kMicrosPerSecond + rtp % rate * kMicrosPerSecond / rate;
}

}  // namespace

int64_t RtpNtpClock::Predict(int64_t rtp_timestamp) const {
  return anchor_us_ + RtpToMicros(rtp_timestamp - anchor_rtp_, clock_rate_);
}

void RtpNtpClock::OnSenderReport(NtpTime ntp, int64_t rtp_timestamp) {
  const int64_t us = ntp.micros();
  if (!valid_) {
    valid_ = true;
    anchor_rtp_ = rtp_timestamp;
    anchor_us_ = us;
    return;
  }
  const int64_t error = us - Predict(rtp_timestamp);
  if (std::abs(error) <= kJumpUs) {
    // Follow drift, smooth out a report that was stamped a little late.
    anchor_us_ = us - error * 3 / 4;
    anchor_rtp_ = rtp_timestamp;
    suspect_ = false;
    return;
  }
  const bool confirmed =
      suspect_ &&
      std::abs(us - suspect_us_ - RtpToMicros(rtp_timestamp - suspect_rtp_, clock_rate_)) <= kJumpUs;
  if (confirmed) {
    anchor_us_ = us;
    anchor_rtp_ = rtp_timestamp;
    suspect_ = false;
    return;
  }
  suspect_ = true;
  suspect_us_ = us;
  suspect_rtp_ = rtp_timestamp;
}

std::optional<int64_t> RtpNtpClock::NtpMicros(int64_t rtp_timestamp) const {
  if (!valid_) return std::nullopt;
  return Predict(rtp_timestamp);
}

void WindowedMinimum::Add(int64_t value, Timestamp now) {
  if (!current_ || now >= window_end_) {
    previous_ = current_;
    current_ = value;
    window_end_ = now + window_;
    return;
  }
  current_ = std::min(*current_, value);
}

std::optional<int64_t> WindowedMinimum::value() const {
  if (current_ && previous_) return std::min(*current_, *previous_);
  return current_;
}

void WindowedMinimum::Reset() {
  current_.reset();
  previous_.reset();
}

void RemoteClockOffset::OnPacket(int64_t ntp_us, Timestamp arrival) {
  const int64_t offset = arrival.time_since_epoch().count() - ntp_us;
  // The sender's clock was set: what is known of the old one is worthless.
  if (const auto known = minimum_.value(); known && std::abs(offset - *known) > 10 * kMicrosPerSecond) {
    minimum_.Reset();
  }
  minimum_.Add(offset, arrival);
}

void SourceClock::OnSenderReport(NtpTime ntp, uint32_t rtp_timestamp) {
  // Unwrapped round the last packet; a report before the first packet has nothing to lean on and is not used.
  if (!last_rtp_) return;
  const auto distance = static_cast<int32_t>(rtp_timestamp - static_cast<uint32_t>(*last_rtp_));
  ntp_.OnSenderReport(ntp, *last_rtp_ + distance);
}

Timestamp SourceClock::OnPacket(int64_t rtp_timestamp, Timestamp arrival, RemoteClockOffset& remote) {
  last_rtp_ = rtp_timestamp;
  const int64_t rtp_us = RtpToMicros(rtp_timestamp, ntp_.clock_rate());
  if (const auto ntp_us = ntp_.NtpMicros(rtp_timestamp)) {
    // What was learned of the path before the first report counts: time does not jump by the queue of the
    // moment.
    if (const auto known = arrival_minimum_.value(); known && !synchronised_) {
      remote.OnPacket(*ntp_us, TimestampFromMicros(rtp_us + *known));
    }
    synchronised_ = true;
    remote.OnPacket(*ntp_us, arrival);
    return TimestampFromMicros(*ntp_us + *remote.offset_us());
  }
  // No sender report yet: the fastest packet so far is taken to have come the moment it was sampled.
  const int64_t offset = arrival.time_since_epoch().count() - rtp_us;
  if (const auto known = arrival_minimum_.value();
      known && std::abs(offset - *known) > 10 * kMicrosPerSecond) {
    arrival_minimum_.Reset();
  }
  arrival_minimum_.Add(offset, arrival);
  return TimestampFromMicros(rtp_us + *arrival_minimum_.value());
}

}  // namespace nexus
