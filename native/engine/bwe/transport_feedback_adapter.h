// Converts transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) to the estimators'
// input: the sending and arrival time of each packet, on one time line, each reported once. Late, repeated
// and forged feedback is discarded here.
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
  bool recovered = false;  // was reported as lost before
};

struct FeedbackResult {
  std::vector<PacketResult> packets;  // by number
  // Time from the sending of the last packet to the arrival of the feedback, including the peer's delay.
  std::optional<Duration> newest_age;
  size_t received = 0;
  size_t lost = 0;
  size_t recovered = 0;
};

class TransportFeedbackAdapter {
 public:
  // Numbers start at `first`. The low 16 bits are sent.
  explicit TransportFeedbackAdapter(uint16_t first = 0) : next_(int64_t{1 << 16} + first) {}

  uint16_t next_sequence() const { return static_cast<uint16_t>(next_); }
  void Prefetch() const { history_.Prefetch(next_); }
  // The packet with `next_sequence` has left.
  void OnSent(const SentRecord& record) { history_.OnSent(next_++, record); }
  // Valid until the next call.
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
