// Schedule of a transport: its entry among the shard's deadlines, and the times of its next allocation and
// report.
#pragma once

#include <algorithm>

#include "engine/control/shard_context.h"

namespace nexus {

class TransportSchedule {
 public:
  TransportSchedule(ShardContext& context, Transport* transport)
      : deadlines_(context.deadlines), deadline_(transport) {}

  // Least time between two timeouts: a deadline that has passed by our clock but not by OpenSSL's must not
  // spin.
  static constexpr Duration kGranularity{1'000};

  // The transport is called at `at`, or as soon as the granularity allows.
  void Set(Timestamp at) {
    at = std::max(at, last_timeout_ + kGranularity);
    if (at != deadline_.at()) deadlines_.Set(deadline_, at);
  }
  void NoLaterThan(Timestamp at) {
    at = std::max(at, last_timeout_ + kGranularity);
    if (at < deadline_.at()) deadlines_.Set(deadline_, at);
  }
  void OnTimeout(Timestamp now) { last_timeout_ = now; }
  Timestamp last_timeout() const { return last_timeout_; }

  // Allocates bandwidth with the next tick, because what slots show has changed. May be called in the middle
  // of a change, also of this transport's own tracks: it only moves the deadline.
  void AllocateSoon() {
    next_allocation = Timestamp{};
    NoLaterThan(next_allocation);
  }
  // Sends a report within a few milliseconds, because a slot has begun to send.
  void ReportSoon(Timestamp now) {
    if (next_report <= now + kReportSoon) return;
    next_report = now + kReportSoon;
    NoLaterThan(next_report);
  }

  Timestamp next_allocation{};
  Timestamp next_report = kNever;

 private:
  // Delay of that report, so that slots that begin together share it.
  static constexpr Duration kReportSoon{20'000};

  ShardDeadlines& deadlines_;
  Deadline deadline_;
  Timestamp last_timeout_{};
};

}  // namespace nexus
