// Maps a source's RTP timestamps to the SFU's clock. Three small parts:
//   RtpNtpClock        one SSRC: RTP time -> the sender's NTP time (sender reports, RFC 3550 section 6.4.1)
//   RemoteClockOffset  one participant: the sender's NTP time -> the SFU's clock; shared by audio and
//                      video, so that they stay in sync
//   SourceClock        one SSRC: when a packet was sampled, with or without sender reports
//
// Sender reports and packets of real senders contradict one another: RTP time stops while a source
// pauses and its reports continue, or jumps when a source is replaced. The arrival then decides, and the
// reports are used again as soon as they agree with it within a second.
#pragma once

#include <optional>

#include "engine/base/time.h"
#include "engine/rtcp/ntp_time.h"

namespace nexus {

class RtpNtpClock {
 public:
  explicit RtpNtpClock(uint32_t clock_rate) : clock_rate_(clock_rate) {}

  // `rtp_timestamp` is unwrapped. A report that contradicts the line is ignored unless the next one agrees
  // with it; then the line moves.
  void OnSenderReport(NtpTime ntp, int64_t rtp_timestamp);
  // Microseconds of the sender's NTP clock; nothing before the first report.
  std::optional<int64_t> NtpMicros(int64_t rtp_timestamp) const;
  uint32_t clock_rate() const { return clock_rate_; }

 private:
  int64_t Predict(int64_t rtp_timestamp) const;

  uint32_t clock_rate_;
  bool valid_ = false;
  bool suspect_ = false;
  int64_t anchor_rtp_ = 0;
  int64_t anchor_us_ = 0;
  int64_t suspect_rtp_ = 0;
  int64_t suspect_us_ = 0;
};

// Minimum over the last one to two windows: follows clock drift and ignores queues.
class WindowedMinimum {
 public:
  explicit WindowedMinimum(Duration window) : window_(window) {}
  void Add(int64_t value, Timestamp now);
  std::optional<int64_t> value() const;
  void Reset();

 private:
  Duration window_;
  Timestamp window_end_{};
  std::optional<int64_t> current_;
  std::optional<int64_t> previous_;
};

class RemoteClockOffset {
 public:
  RemoteClockOffset() : minimum_(Duration(10'000'000)) {}
  void OnPacket(int64_t ntp_us, Timestamp arrival);
  // The reports of one source contradict this offset. If no source's reports have agreed with it for ten
  // seconds, it is forgotten: the sender's clock was set.
  void OnContradiction(Timestamp arrival);
  std::optional<int64_t> offset_us() const { return minimum_.value(); }  // SFU's clock minus sender's

 private:
  WindowedMinimum minimum_;
  Timestamp agreed_{};
};

class SourceClock {
 public:
  explicit SourceClock(uint32_t clock_rate) : ntp_(clock_rate), arrival_minimum_(Duration(10'000'000)) {}

  void OnSenderReport(NtpTime ntp, uint32_t rtp_timestamp);
  // To be called for each packet in arrival order; `remote` is the participant's. The caller unwraps both
  // numbers.
  Timestamp OnPacket(int64_t sequence, int64_t rtp_timestamp, Timestamp arrival, RemoteClockOffset& remote);
  // True if the times come from sender reports which agree with the arrival.
  bool synchronised() const { return synchronised_; }

 private:
  struct Point {
    int64_t sequence = 0;
    int64_t rtp = 0;
    int64_t offset_us = 0;  // arrival minus RTP time
    int64_t media_us = 0;
  };

  bool IsLate(int64_t sequence) const;
  Timestamp TimeOfLate(int64_t sequence, int64_t rtp_timestamp) const;
  bool HasJumped(int64_t rtp_timestamp, int64_t offset_us) const;
  std::optional<int64_t> TimeByReports(int64_t ntp_us, int64_t expected_us, Timestamp arrival,
                                       RemoteClockOffset& remote);

  RtpNtpClock ntp_;
  WindowedMinimum arrival_minimum_;  // of arrival minus RTP time, since the RTP time last jumped
  // How much later than its sampling the fastest packet arrives, by the reports. Subtracted while the arrival
  // alone decides.
  int64_t lag_us_ = 0;
  std::optional<Point> newest_;
  // The last packet before RTP time jumped, and the first after it.
  std::optional<Point> before_jump_;
  Point jump_;
  bool synchronised_ = false;
  bool learned_ = false;  // was synchronised at least once
};

}  // namespace nexus
