// Records the arrival of a publisher's packets and reports it
// (draft-holmer-rmcat-transport-wide-cc-extensions-01). One per transport. Bounded: packets above the bound
// are dropped and counted.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "engine/base/time.h"
#include "engine/base/unwrap.h"
#include "engine/rtcp/twcc_feedback.h"

namespace nexus {

struct TwccRecorderConfig {
  Duration interval = Duration(100'000);
  size_t max_packets = 200;      // number of packets that make feedback due at once
  size_t max_recorded = 2000;    // bound of memory
  int64_t reorder_window = 500;  // how far before the last feedback late packets are reported; at most 1000
};

struct TwccRecorderCounters {
  uint64_t duplicates = 0;
  uint64_t too_late = 0;
  uint64_t overflow = 0;
  uint64_t feedbacks = 0;
};

class TwccRecorder {
 public:
  explicit TwccRecorder(const TwccRecorderConfig& config = {});

  void OnPacket(uint16_t sequence, Timestamp arrival);
  bool due(Timestamp now) const { return now >= next_deadline(); }
  Timestamp next_deadline() const;
  // Writes one RTCP feedback packet into `out`; 0 if nothing is left to report. To be called until it returns
  // 0: if a feedback does not fit, the next one continues it with the next feedback count.
  size_t WriteFeedback(MutableByteView out, Ssrc sender, Ssrc media, Timestamp now);
  const TwccRecorderCounters& counters() const { return counters_; }

 private:
  static constexpr int64_t kMaxReportedGap = 8000;
  bool WasReported(int64_t number) const;

  TwccRecorderConfig config_;
  Unwrapper<uint16_t> unwrapper_;
  std::vector<TwccArrival> arrivals_;  // ascending, not yet reported
  std::optional<int64_t> next_base_;   // first number that no feedback has covered
  std::optional<Timestamp> first_waiting_;
  std::optional<Timestamp> last_feedback_;
  std::array<int64_t, 1024> reported_{};  // reported numbers below next_base_, by their low bits
  uint8_t feedback_count_ = 0;
  TwccRecorderCounters counters_;
};

}  // namespace nexus
