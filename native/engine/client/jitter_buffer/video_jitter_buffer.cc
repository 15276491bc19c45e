#include "engine/client/jitter_buffer/video_jitter_buffer.h"

#include <algorithm>
#include <utility>

namespace nexus {

VideoJitterBuffer::VideoJitterBuffer(const VideoJitterBufferConfig& config)
    : config_(config), assembler_(config.codec, config.assembler), delay_(config.delay) {}

Duration VideoJitterBuffer::MediaTime(int64_t timestamp) const {
  return Duration(timestamp * 1'000'000 / config_.clock_rate);
}

Timestamp VideoJitterBuffer::PlayoutOf(const AssembledFrame& frame) const {
  return delay_.PlayoutTime(MediaTime(frame.timestamp)).value_or(Timestamp{});
}

void VideoJitterBuffer::Insert(const ReceivedMedia& media, Timestamp now) {
  if (!starving_since_) starving_since_ = now;
  came_since_asked_ = true;
  AssemblerPacket packet;
  packet.sequence_number = media.sequence_number;
  packet.timestamp = timestamp_.Unwrap(media.timestamp);
  packet.marker = media.marker;
  packet.source = media.source;
  packet.payload = media.payload;
  assembler_.Insert(packet);
  while (auto frame = assembler_.Poll()) Take(std::move(*frame), now);
}

void VideoJitterBuffer::Take(AssembledFrame frame, Timestamp now) {
  if (next_sequence_ && frame.first_sequence < *next_sequence_) {
    ++counters_.dropped;  // older than the frame shown last
    return;
  }
  delay_.OnUnit(MediaTime(frame.timestamp), now);
  if (frames_.size() >= config_.max_frames) MakeRoom();
  frames_.emplace(frame.first_sequence, std::move(frame));
}

// When full, frames before the newest keyframe are dropped; without one, all frames.
void VideoJitterBuffer::MakeRoom() {
  ++counters_.overflows;
  auto keep = frames_.end();
  for (auto frame = frames_.begin(); frame != frames_.end(); ++frame) {
    if (frame->second.keyframe && frame != frames_.begin()) keep = frame;
  }
  counters_.dropped += static_cast<uint64_t>(std::distance(frames_.begin(), keep));
  frames_.erase(frames_.begin(), keep);
}

bool VideoJitterBuffer::Continues(const AssembledFrame& frame) const {
  return next_sequence_ && frame.first_sequence == assembler_.SkipProbes(*next_sequence_);
}

VideoJitterBuffer::Frames::const_iterator VideoJitterBuffer::Next() const {
  if (!frames_.empty() && Continues(frames_.begin()->second)) return frames_.begin();
  return std::find_if(frames_.begin(), frames_.end(),
                      [](const auto& entry) { return entry.second.keyframe; });
}

std::optional<VideoFrame> VideoJitterBuffer::Poll(Timestamp now) {
  const auto next = Next();
  if (next == frames_.end()) return std::nullopt;
  const Timestamp playout = PlayoutOf(next->second);
  if (playout > now) return std::nullopt;
  const bool continues = Continues(next->second);
  VideoFrame out;
  out.after_gap = next_sequence_.has_value() && !continues;
  out.playout = playout;
  counters_.dropped += static_cast<uint64_t>(std::distance(Frames::const_iterator(frames_.begin()), next));
  counters_.gaps += out.after_gap ? 1 : 0;
  out.frame = std::move(frames_.extract(next).mapped());
  frames_.erase(frames_.begin(), frames_.upper_bound(out.frame.first_sequence));
  next_sequence_ = out.frame.last_sequence + 1;
  last_timestamp_ = out.frame.timestamp;
  source_ = out.frame.source;
  assembler_.DropBefore(*next_sequence_);
  starving_since_ = now;
  asked_.reset();
  ++counters_.released;
  if (now - playout > std::chrono::milliseconds(50)) ++counters_.late;
  return out;
}

Timestamp VideoJitterBuffer::next_deadline() const {
  const auto next = Next();
  if (next != frames_.end()) return PlayoutOf(next->second);
  // Nothing is being sent (muted, paused): nothing is missed.
  if (!starving_since_ || !came_since_asked_ || (frames_.empty() && assembler_.held() == 0)) return kNever;
  return asked_ ? *asked_ + config_.keyframe_retry : *starving_since_ + delay_.target() + config_.patience;
}

bool VideoJitterBuffer::TakeKeyframeRequest(Timestamp now) {
  if (Next() != frames_.end() || now < next_deadline()) return false;
  asked_ = now;
  came_since_asked_ = false;
  ++counters_.keyframe_requests;
  return true;
}

}  // namespace nexus
