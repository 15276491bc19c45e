#include "engine/forward/receiver_stats.h"

#include <algorithm>

namespace nexus {

void ReceiverStats::OnPacket(int64_t sequence_number, uint32_t rtp_timestamp, Timestamp arrival, size_t size,
                             bool repaired) {
  bytes_ += size;
  if (repaired) {
    ++repaired_;
    return;
  }
  ++packets_;
  if (!first_) {
    first_ = sequence_number;
    highest_ = sequence_number;
  }
  first_ = std::min(*first_, sequence_number);
  highest_ = std::max(highest_, sequence_number);
  UpdateJitter(rtp_timestamp, arrival);
}

void ReceiverStats::UpdateJitter(uint32_t rtp_timestamp, Timestamp arrival) {
  // RFC 3550 A.8, in timestamp units times 16. Packets of one frame share a timestamp and were sampled
  // together, so only the first one shows the path's delay.
  if (last_transit_ && rtp_timestamp == last_rtp_timestamp_) return;
  const int64_t us = arrival.time_since_epoch().count();
  const int64_t arrival_rtp = us / 1'000'000 * clock_rate_ + us % 1'000'000 * clock_rate_ / 1'000'000;
  const int64_t transit = arrival_rtp - static_cast<int64_t>(rtp_timestamp);
  if (last_transit_) {
    const auto difference = static_cast<int32_t>(static_cast<uint32_t>(transit - *last_transit_));
    const int64_t distance = difference < 0 ? -int64_t{difference} : difference;
    // A jump of more than five seconds is a new clock, not jitter.
    if (distance < int64_t{5} * clock_rate_) jitter_x16_ += distance - ((jitter_x16_ + 8) >> 4);
  }
  last_transit_ = transit;
  last_rtp_timestamp_ = rtp_timestamp;
}

void ReceiverStats::OnSenderReport(NtpTime ntp, Timestamp now) {
  last_sr_ = ntp.compact();
  last_sr_at_ = now;
}

int64_t ReceiverStats::cumulative_lost() const {
  if (!first_) return 0;
  return highest_ - *first_ + 1 - static_cast<int64_t>(packets_);
}

double ReceiverStats::jitter_ms() const {
  return static_cast<double>(jitter_x16_ >> 4) * 1000.0 / static_cast<double>(clock_rate_);
}

std::optional<ReportBlock> ReceiverStats::MakeReport(Timestamp now) {
  if (!first_) return std::nullopt;
  // RFC 3550 A.3
  const int64_t expected = highest_ - *first_ + 1;
  const int64_t received = static_cast<int64_t>(packets_);
  const int64_t expected_interval = expected - expected_prior_;
  const int64_t lost_interval = expected_interval - (received - received_prior_);
  expected_prior_ = expected;
  received_prior_ = received;
  last_fraction_lost_ = 0;
  if (expected_interval > 0 && lost_interval > 0) {
    last_fraction_lost_ =
        static_cast<uint8_t>(std::min<int64_t>(255, (lost_interval << 8) / expected_interval));
  }
  ReportBlock block;
  block.source = source_;
  block.fraction_lost = last_fraction_lost_;
  block.cumulative_lost = static_cast<int32_t>(std::clamp<int64_t>(cumulative_lost(), -0x800000, 0x7FFFFF));
  // Cycles count from zero, while the unwrapper's numbers begin in the second cycle.
  block.extended_highest_sequence = static_cast<uint32_t>(highest_ - 65'536);
  block.jitter = static_cast<uint32_t>(jitter_x16_ >> 4);
  if (last_sr_) {
    block.last_sr = *last_sr_;
    block.delay_since_last_sr = static_cast<uint32_t>((now - last_sr_at_).count() * 65'536 / 1'000'000);
  }
  return block;
}

std::optional<Duration> RoundTripTime(const ReportBlock& block, NtpTime now) {
  if (block.last_sr == 0) return std::nullopt;
  const uint32_t rtt = now.compact() - block.last_sr - block.delay_since_last_sr;
  // A peer may round DLSR up: a slightly negative result is zero, any other is invalid.
  if (rtt > 0x80000000u) return (-rtt < 6554) ? std::optional(Duration(0)) : std::nullopt;
  return Duration(static_cast<int64_t>(rtt) * 1'000'000 / 65'536);
}

}  // namespace nexus
