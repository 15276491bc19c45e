#include "engine/forward/source_clock.h"

#include <algorithm>
#include <cstdlib>

namespace nexus {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Two reports of one sender disagree by less than this unless a clock was set.
constexpr int64_t kJumpUs = 100'000;
// How far from the expected time sender reports may put a packet.
constexpr int64_t kBelievableUs = 1'000'000;
// Between two packets in order, RTP time and arrival differ by less than the first, unless RTP time jumped.
// Pictures that are sent out of order (B-frames) make it go back, by less than the second.
constexpr int64_t kRtpJumpUs = 1'000'000;
constexpr int64_t kRtpFallUs = 500'000;
// A sequence number that far below the newest is not a late packet: the source has restarted.
constexpr int64_t kMaxLate = 3'000;
constexpr Duration kContradictedFor{10'000'000};

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
    // Follow the drift, and smooth out a report that was stamped a little late.
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
  minimum_.Add(arrival.time_since_epoch().count() - ntp_us, arrival);
  agreed_ = arrival;
}

void RemoteClockOffset::OnContradiction(Timestamp arrival) {
  if (arrival - agreed_ > kContradictedFor) minimum_.Reset();
}

void SourceClock::OnSenderReport(NtpTime ntp, uint32_t rtp_timestamp) {
  // Unwrapped near the last packet; a report before the first packet cannot be unwrapped and is not used.
  if (!newest_) return;
  const auto distance = static_cast<int32_t>(rtp_timestamp - static_cast<uint32_t>(newest_->rtp));
  ntp_.OnSenderReport(ntp, newest_->rtp + distance);
}

bool SourceClock::IsLate(int64_t sequence) const {
  return newest_ && sequence <= newest_->sequence && newest_->sequence - sequence < kMaxLate;
}

// A late packet (repaired or overtaken) keeps the mapping of its time and does not change the clock.
Timestamp SourceClock::TimeOfLate(int64_t sequence, int64_t rtp_timestamp) const {
  const bool before_jump = before_jump_ && sequence < jump_.sequence && rtp_timestamp != jump_.rtp;
  const Point& known = before_jump ? *before_jump_ : *newest_;
  return TimestampFromMicros(known.media_us + RtpToMicros(rtp_timestamp - known.rtp, ntp_.clock_rate()));
}

bool SourceClock::HasJumped(int64_t rtp_timestamp, int64_t offset_us) const {
  if (!newest_) return false;
  const int64_t change = offset_us - newest_->offset_us;
  return std::abs(change) > kRtpJumpUs || (rtp_timestamp < newest_->rtp && change > kRtpFallUs);
}

// Nothing if the reports contradict the arrival: with the participant's offset they put the packet more than
// a second away from the expected time.
std::optional<int64_t> SourceClock::TimeByReports(int64_t ntp_us, int64_t expected_us, Timestamp arrival,
                                                  RemoteClockOffset& remote) {
  const std::optional<int64_t> known = remote.offset_us();
  if (known && std::abs(ntp_us + *known - expected_us) > kBelievableUs) {
    remote.OnContradiction(arrival);
    return std::nullopt;
  }
  // The delay learned before the first report counts, so that time does not jump by the queue of the moment.
  if (!known || !learned_) remote.OnPacket(ntp_us, TimestampFromMicros(expected_us));
  remote.OnPacket(ntp_us, arrival);
  learned_ = true;
  return ntp_us + *remote.offset_us();
}

Timestamp SourceClock::OnPacket(int64_t sequence, int64_t rtp_timestamp, Timestamp arrival,
                                RemoteClockOffset& remote) {
  if (IsLate(sequence)) return TimeOfLate(sequence, rtp_timestamp);
  const int64_t rtp_us = RtpToMicros(rtp_timestamp, ntp_.clock_rate());
  Point point{sequence, rtp_timestamp, arrival.time_since_epoch().count() - rtp_us};
  if (HasJumped(rtp_timestamp, point.offset_us)) {
    before_jump_ = newest_;
    jump_ = point;
    arrival_minimum_.Reset();
  }
  arrival_minimum_.Add(point.offset_us, arrival);
  // The fastest packet so far is assumed to arrive when it was sampled, or with the lag known from reports.
  const int64_t fastest_us = rtp_us + *arrival_minimum_.value();
  point.media_us = fastest_us - lag_us_;
  const auto ntp_us = ntp_.NtpMicros(rtp_timestamp);
  const auto reported = ntp_us ? TimeByReports(*ntp_us, point.media_us, arrival, remote) : std::nullopt;
  synchronised_ = reported.has_value();
  if (reported) {
    point.media_us = *reported;
    lag_us_ = std::max<int64_t>(0, fastest_us - *reported);
  }
  newest_ = point;
  return TimestampFromMicros(point.media_us);
}

}  // namespace nexus
