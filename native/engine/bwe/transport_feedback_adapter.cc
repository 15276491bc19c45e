#include "engine/bwe/transport_feedback_adapter.h"

namespace nexus {
namespace {

constexpr int64_t kReferenceWrap = int64_t{1} << 24;

}  // namespace

// The reference time has 24 bits and a sign; it is unwrapped to the value nearest to the last (hard problem
// 6).
Duration TransportFeedbackAdapter::ReferenceOffset(int32_t reference_time) {
  int64_t unwrapped = reference_time;
  if (last_reference_) {
    int64_t step = (reference_time - *last_reference_) & (kReferenceWrap - 1);
    if (step >= kReferenceWrap / 2) step -= kReferenceWrap;
    unwrapped = *last_reference_ + step;
  }
  last_reference_ = unwrapped;
  return (unwrapped - reference_time) * kTwccReferenceUnit;
}

const FeedbackResult& TransportFeedbackAdapter::OnFeedback(const TwccFeedbackView& feedback, Timestamp now) {
  result_.packets.clear();
  result_.newest_age.reset();
  result_.received = result_.lost = result_.recovered = 0;
  const Duration offset = ReferenceOffset(feedback.reference_time());
  // The whole feedback is unwrapped at once: feedback for numbers that were never sent must not match old
  // ones.
  const std::optional<int64_t> base = history_.Unwrap(feedback.base_sequence());
  if (!base) {
    unknown_ += feedback.status_count();
    return result_;
  }
  int64_t sequence = *base;
  feedback.ForEach([&](uint16_t, std::optional<Duration> arrival) {
    SentRecord record;
    const FeedbackOutcome outcome = history_.OnFeedback(sequence++, arrival.has_value(), record);
    if (outcome == FeedbackOutcome::kUnknown) return void(++unknown_);
    if (outcome == FeedbackOutcome::kRepeated) return void(++repeated_);
    PacketResult packet;
    packet.sent = record.sent;
    packet.size = record.size;
    packet.cluster = record.cluster;
    packet.recovered = outcome == FeedbackOutcome::kRecovered;
    if (arrival) packet.arrived = Timestamp(*arrival + offset);
    result_.received += arrival ? 1 : 0;
    result_.lost += arrival ? 0 : 1;
    result_.recovered += packet.recovered ? 1 : 0;
    if (arrival && !packet.recovered) result_.newest_age = now - record.sent;
    result_.packets.push_back(packet);
  });
  return result_;
}

}  // namespace nexus
