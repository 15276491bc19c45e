// Notes when a publisher's packets arrive and tells it (draft-holmer-rmcat-transport-wide-cc-extensions-01).
// One per transport. Bounded: what does not fit is told early or dropped, and counted.
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
  size_t max_packets = 200;      // feedback is due at once when so many wait
  size_t max_recorded = 2000;    // bound of memory
  int64_t reorder_window = 500;  // how far below the last feedback a late packet is still told; at most 1000
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
  // One whole RTCP feedback packet into `out`; 0 when nothing is left to tell. Call until 0: a feedback
  // larger than `out` continues in the next one, with the next feedback count.
  size_t WriteFeedback(MutableByteView out, Ssrc sender, Ssrc media, Timestamp now);
  const TwccRecorderCounters& counters() const { return counters_; }

 private:
  static constexpr int64_t kMaxReportedGap = 8000;
  bool Told(int64_t number) const;

  TwccRecorderConfig config_;
  Unwrapper<uint16_t> unwrapper_;
  std::vector<TwccArrival> arrivals_;  // ascending, not yet told
  std::optional<int64_t> next_base_;   // first number that no feedback covered
  std::optional<Timestamp> first_waiting_;
  std::optional<Timestamp> last_feedback_;
  std::array<int64_t, 1024> told_{};  // numbers below next_base_ that were told, by their low bits
  uint8_t feedback_count_ = 0;
  TwccRecorderCounters counters_;
};

}  // namespace nexus
