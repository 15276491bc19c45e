// Turns transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) into what the estimators
// want: when each packet left and when it arrived, on one time line, each told once. Late, repeated and
// invented feedback is sorted out here.
#pragma once

#include <optional>
#include <vector>

#include "engine/base/unwrap.h"
#include "engine/bwe/sent_packet_history.h"
#include "engine/rtcp/twcc_feedback.h"

namespace nexus {

struct PacketResult {
  Timestamp sent;
  std::optional<Timestamp> arrived;  // on the peer's clock; nothing: lost
  uint16_t size = 0;
  ProbeClusterId cluster = kNoProbe;
  bool recovered = false;  // was told lost before
};

struct FeedbackResult {
  std::vector<PacketResult> packets;  // by number
  // From the last packet's departure to the feedback, less nothing: the peer's waiting time is in it.
  std::optional<Duration> newest_age;
  size_t received = 0;
  size_t lost = 0;
  size_t recovered = 0;
};

class TransportFeedbackAdapter {
 public:
  // The number that goes on the wire is the low half. Numbers start at `first`.
  explicit TransportFeedbackAdapter(uint16_t first = 0) : next_(int64_t{1 << 16} + first) {}

  uint16_t next_sequence() const { return static_cast<uint16_t>(next_); }
  void Prefetch() const { history_.Prefetch(next_); }
  // The packet with `next_sequence` has left.
  void OnSent(const SentRecord& record) { history_.OnSent(next_++, record); }
  // Good until the next call.
  const FeedbackResult& OnFeedback(const TwccFeedbackView& feedback, Timestamp now);

  const SentPacketHistory& history() const { return history_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t repeated() const { return repeated_; }

 private:
  Duration ReferenceOffset(int32_t reference_time);

  SentPacketHistory history_;
  int64_t next_;
  std::optional<int64_t> last_reference_;  // unwrapped, in units of 64 ms
  FeedbackResult result_;
  uint64_t unknown_ = 0;
  uint64_t repeated_ = 0;
};

}  // namespace nexus
