// Reception statistics of one publisher's SSRC and their report block (RFC 3550 §6.4.1, A.3, A.8).
#pragma once

#include <optional>

#include "engine/base/time.h"
#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

class ReceiverStats {
 public:
  ReceiverStats(Ssrc source, uint32_t clock_rate) : source_(source), clock_rate_(clock_rate) {}

  // Numbers are unwrapped. `repaired`: it arrived by RTX and does not count for loss or jitter of the path.
  void OnPacket(int64_t sequence_number, uint32_t rtp_timestamp, Timestamp arrival, size_t size,
                bool repaired = false);
  void OnSenderReport(NtpTime ntp, Timestamp now);
  // Nothing before the first packet. Begins a new interval of the fraction lost.
  std::optional<ReportBlock> MakeReport(Timestamp now);

  uint64_t packets() const { return packets_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t repaired() const { return repaired_; }
  int64_t cumulative_lost() const;
  double jitter_ms() const;
  uint8_t last_fraction_lost() const { return last_fraction_lost_; }

 private:
  void UpdateJitter(uint32_t rtp_timestamp, Timestamp arrival);

  Ssrc source_;
  uint32_t clock_rate_;
  std::optional<int64_t> first_;
  int64_t highest_ = 0;
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;
  uint64_t repaired_ = 0;
  int64_t expected_prior_ = 0;
  int64_t received_prior_ = 0;
  uint8_t last_fraction_lost_ = 0;
  std::optional<int64_t> last_transit_;
  uint32_t last_rtp_timestamp_ = 0;
  int64_t jitter_x16_ = 0;
  std::optional<uint32_t> last_sr_;
  Timestamp last_sr_at_;
};

// Round-trip time from a report block about one of our own streams (RFC 3550 §6.4.1); nothing if it has no
// LSR.
std::optional<Duration> RoundTripTime(const ReportBlock& block, NtpTime now);

}  // namespace nexus
