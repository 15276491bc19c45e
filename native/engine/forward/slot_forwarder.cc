#include "engine/forward/slot_forwarder.h"

namespace nexus {
namespace {

// Maximum distance of a packet's time from the slot's line before it is corrected. During silence a
// correction is inaudible.
constexpr Duration kTolerance{8'000};
constexpr Duration kToleranceInSilence{1'000};
constexpr uint8_t kSilentLevel = 70;  // -dBov
// Between two frames, the steps of the source's time and of the arrival differ by less, unless the source's
// time jumped.
constexpr Duration kTimeJump{500'000};

}  // namespace

SlotForwarder::SlotForwarder(const SlotConfig& config)
    : config_(config), timeline_(config.clock_rate, config.created, config.initial_timestamp) {}

void SlotForwarder::Bind(const SlotSource& source) {
  source_ = source;
  started_ = false;
  rewriter_.Bind(source.codec);
  ++counters_.switches;
}

void SlotForwarder::Unbind() {
  source_.reset();
  started_ = false;
}

std::optional<int64_t> SlotForwarder::highest_sequence() const {
  if (!any_sent_) return std::nullopt;
  return highest_out_;
}

std::optional<Rewritten> SlotForwarder::Forward(LayerId layer, const SourcePacket& packet) {
  if (!source_ || layer != source_->layer) return std::nullopt;
  if (started_ && IsRestart(packet)) {
    ++counters_.source_restarts;
    started_ = false;
    rewriter_.Bind(source_->codec);
  }
  Rewritten rewritten;
  if (!started_) {
    if (!CanStart(packet)) {
      ++counters_.waiting_for_keyframe;
      return std::nullopt;
    }
    Start(packet);
    rewritten.first_of_binding = true;
  }
  LayerDecision decision;
  if (config_.video && !packet.payload.empty() && packet.sequence_number >= sequence_.first()) {
    decision = selector_.Decide(packet);
    if (decision.verdict != LayerVerdict::kForward && LeaveOut(packet, decision.verdict, rewritten)) {
      return std::nullopt;
    }
  }
  PutSetsInFront(packet, rewritten);
  const bool newest = packet.sequence_number > sequence_.highest();
  const auto out = MapSequence(packet);
  if (!out) return std::nullopt;
  if (newest) FollowTime(packet);
  const int64_t timestamp = time_.Map(packet.sequence_number, packet.timestamp);
  last_timestamp_ = std::max(last_timestamp_, timestamp);
  rewritten.marker = packet.marker || decision.ends_picture;
  if (!any_sent_ || *out > highest_out_) highest_marker_ = rewritten.marker;
  if (rewritten.sets_in_front) MarkSent(*out - 1);
  MarkSent(*out);
  ++counters_.forwarded;
  rewritten.sequence_number = *out;
  rewritten.timestamp = static_cast<uint32_t>(timestamp);
  rewritten.csrc = source_->csrc;
  if (rewritten.empty) {
    rewritten.marker = false;
    ++counters_.holes_closed;
    return rewritten;
  }
  rewritten.patch = rewriter_.Rewrite(packet.frame, packet.payload);
  rewritten.descriptor = rewriter_.RewriteDescriptor(packet.frame, decision.active_targets);
  return rewritten;
}

// Padding follows a marker, so that it does not fall within a frame; its time is that frame's.
std::optional<Rewritten> SlotForwarder::TakePadding() {
  if (!config_.video || !source_ || !started_ || !highest_marker_) return std::nullopt;
  Rewritten padding;
  padding.sequence_number = highest_out_ + 1;
  padding.timestamp = static_cast<uint32_t>(last_timestamp_);
  padding.csrc = source_->csrc;
  padding.empty = true;
  sequence_.Insert();
  MarkSent(padding.sequence_number);
  ++counters_.padding;
  return padding;
}

// True if nothing is to be sent. The number of a packet whose layer is not sent is closed up if nothing later
// was sent yet. Otherwise the subscriber misses this number: it gets a packet without payload or, if the
// whole frame is missed by its picture id (VP8), the frame.
bool SlotForwarder::LeaveOut(const SourcePacket& packet, LayerVerdict verdict, Rewritten& rewritten) {
  if (verdict == LayerVerdict::kHold) {
    ++counters_.held;
    return true;
  }
  if (packet.sequence_number > sequence_.highest()) {
    sequence_.LeaveOut(packet.sequence_number);
    rewriter_.LeaveOut(packet.frame);
    ++counters_.layers_left_out;
    return true;
  }
  rewritten.empty = !rewriter_.HasPlace(packet.frame);
  return false;
}

bool SlotForwarder::CanStart(const SourcePacket& packet) const {
  if (packet.payload.empty()) return false;
  return !config_.video || packet.frame.keyframe_start;
}

void SlotForwarder::Start(const SourcePacket& packet) {
  int64_t out = config_.initial_sequence & 0x7FFF;
  if (any_sent_) {
    // A frame that was cut off stays incomplete for the receiver: one number after it is left free, so that
    // its last packet is not taken for the one before the new frame.
    const bool cut = config_.video && !highest_marker_;
    out = highest_out_ + (cut ? 2 : 1);
  }
  if (packet.frame.needs_parameter_sets) ++out;
  sequence_.Start(packet.sequence_number, out);
  StartTime(packet);
  selector_.Start(packet);
  started_ = true;
}

// Sends the sets before each keyframe, not only the binding's first: a receiver does not request packets that
// were lost before the first one it got; it requests a keyframe.
void SlotForwarder::PutSetsInFront(const SourcePacket& packet, Rewritten& rewritten) {
  if (!packet.frame.needs_parameter_sets) return;
  if (!rewritten.first_of_binding) {
    if (packet.sequence_number <= sequence_.highest()) return;  // it was overtaken: there is no free number
    sequence_.MakeRoom(packet.sequence_number);
  }
  rewritten.sets_in_front = true;
}

bool SlotForwarder::IsRestart(const SourcePacket& packet) const {
  const int64_t jump = packet.sequence_number - sequence_.highest();
  return jump > kMaxSourceJump || jump < -kMaxSourceJump;
}

std::optional<int64_t> SlotForwarder::MapSequence(const SourcePacket& packet) {
  if (packet.sequence_number < sequence_.first()) {
    ++counters_.before_switch;
    return std::nullopt;
  }
  if (packet.payload.empty() && packet.sequence_number > sequence_.highest()) {
    // A probe of the publisher. If it is late and its number was already left free, it is sent as an empty
    // packet, which fills the gap.
    sequence_.LeaveOut(packet.sequence_number);
    ++counters_.probes;
    return std::nullopt;
  }
  const auto out = sequence_.Map(packet.sequence_number);
  if (!out) {
    ++counters_.duplicates;
    return std::nullopt;
  }
  sequence_.Seen(packet.sequence_number);
  if (any_sent_ && *out <= highest_out_ - kRepeatWindow) {
    ++counters_.too_old;
    return std::nullopt;
  }
  // SRTP must never encrypt two packets with one number.
  if (Sent(*out)) {
    ++counters_.duplicates;
    return std::nullopt;
  }
  return out;
}

bool SlotForwarder::Sent(int64_t out) const {
  return any_sent_ && out <= highest_out_ && sent_[static_cast<size_t>(out) % kRepeatWindow];
}

void SlotForwarder::MarkSent(int64_t out) {
  if (!any_sent_) {
    highest_out_ = out;
    any_sent_ = true;
  }
  if (out > highest_out_ + kRepeatWindow) {
    sent_.reset();
    highest_out_ = out;
  }
  while (highest_out_ < out) sent_.reset(static_cast<size_t>(++highest_out_) % kRepeatWindow);
  sent_.set(static_cast<size_t>(out) % kRepeatWindow);
}

int64_t SlotForwarder::OutgoingTime(const SourcePacket& packet) const {
  const int64_t out = timeline_.RtpAt(packet.media_time);
  return any_sent_ ? std::max(out, last_timestamp_ + 1) : out;
}

void SlotForwarder::StartTime(const SourcePacket& packet) {
  time_.Start(packet.sequence_number, packet.timestamp, OutgoingTime(packet));
  last_source_timestamp_ = packet.timestamp;
  last_arrival_ = packet.arrival;
}

// Acts on the first packet of each new frame: all packets of a frame carry one timestamp.
void SlotForwarder::FollowTime(const SourcePacket& packet) {
  if (packet.timestamp == last_source_timestamp_) return;
  if (TimeHasJumped(packet)) {
    time_.Jump(packet.sequence_number, packet.timestamp, OutgoingTime(packet));
    ++counters_.time_jumps;
  } else if (packet.timestamp < last_source_timestamp_) {
    return;  // a picture shown before the one that was sent before it (B-frames)
  } else {
    CorrectTime(packet);
  }
  last_source_timestamp_ = packet.timestamp;
  last_arrival_ = packet.arrival;
}

bool SlotForwarder::TimeHasJumped(const SourcePacket& packet) const {
  const int64_t step = packet.timestamp - last_source_timestamp_;
  const int64_t difference = step - timeline_.ToRtp(packet.arrival - last_arrival_);
  const int64_t limit = timeline_.ToRtp(kTimeJump);
  if (difference > limit || difference < -limit) return true;
  return step < 0 && source_->codec != Codec::kH264;
}

Duration SlotForwarder::Tolerance(const SourcePacket& packet) const {
  const bool silent = !config_.video &&
                      (packet.frame.dtx || (packet.audio_level && packet.audio_level->level >= kSilentLevel));
  return silent ? kToleranceInSilence : kTolerance;
}

// Forward corrections of audio happen at once, since each part of a gap would be heard; those of video are
// spread over frames, half of a frame's step each, or the picture would freeze. Backward corrections leave
// time advancing.
void SlotForwarder::CorrectTime(const SourcePacket& packet) {
  const int64_t plain = packet.timestamp + time_.offset();
  const int64_t error = timeline_.RtpAt(packet.media_time) - plain;
  const int64_t tolerance = timeline_.ToRtp(Tolerance(packet));
  if (error <= tolerance && error >= -tolerance) return;
  const int64_t advance = plain - last_timestamp_;
  int64_t step = std::max(error, -(advance * 3 / 4));
  if (config_.video) step = std::min(step, std::max<int64_t>(advance / 2, 1));
  if (step == 0) return;
  time_.Correct(packet.timestamp, step);
  ++counters_.time_corrections;
}

}  // namespace nexus
