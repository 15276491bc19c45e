// What a transport does later: one entry among the shard's deadlines, and the times of what its slots ask
// for.
#pragma once

#include <algorithm>

#include "engine/control/shard_context.h"

namespace nexus {

class TransportSchedule {
 public:
  TransportSchedule(ShardContext& context, Transport* transport)
      : deadlines_(context.deadlines), deadline_(transport) {}

  // A deadline that has passed by our clock but not by OpenSSL's must not spin.
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

  // What slots show has changed: the bandwidth is shared out anew with the next tick. May be called from the
  // midst of changes, also of this transport's own tracks: only the deadline moves.
  void AllocateSoon() {
    next_allocation = Timestamp{};
    NoLaterThan(next_allocation);
  }
  // A sender report within a few milliseconds: a slot has begun to send.
  void ReportSoon(Timestamp now) {
    if (next_report <= now + kReportSoon) return;
    next_report = now + kReportSoon;
    NoLaterThan(next_report);
  }

  Timestamp next_allocation{};
  Timestamp next_report = kNever;

 private:
  // Several slots that begin together share a report.
  static constexpr Duration kReportSoon{20'000};

  ShardDeadlines& deadlines_;
  Deadline deadline_;
  Timestamp last_timeout_{};
};

}  // namespace nexus
