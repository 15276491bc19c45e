// Jitter buffer for video: returns whole frames in decoding order, each at its playout time. A frame follows
// the previous one if no sequence number is missing between them, or if it is a keyframe. While the next
// frame is missing, the buffer waits for it until the playout time of a later keyframe; without one it
// requests a keyframe. Bounded in frames; dropped frames are counted.
#pragma once

#include <map>
#include <optional>

#include "engine/base/unwrap.h"
#include "engine/client/jitter_buffer/delay_estimator.h"
#include "engine/client/jitter_buffer/frame_assembler.h"
#include "engine/client/receive_stream.h"

namespace nexus {

struct VideoJitterBufferConfig {
  Codec codec = Codec::kVp8;
  uint32_t clock_rate = 90'000;
  DelayEstimatorConfig delay;
  FrameAssemblerConfig assembler;
  size_t max_frames = 100;
  // How long an incomplete frame is awaited after its playout time before a keyframe is requested: time for a
  // retransmission or two.
  Duration patience = std::chrono::milliseconds(200);
  Duration keyframe_retry = std::chrono::milliseconds(500);
};

struct VideoFrame {
  AssembledFrame frame;
  Timestamp playout;
  bool after_gap = false;  // frames before it were given up: it is a keyframe
};

struct VideoJitterBufferCounters {
  uint64_t released = 0;
  uint64_t dropped = 0;  // whole frames that could not be decoded
  uint64_t late = 0;     // released after their playout time
  uint64_t gaps = 0;
  uint64_t keyframe_requests = 0;
  uint64_t overflows = 0;
};

class VideoJitterBuffer {
 public:
  explicit VideoJitterBuffer(const VideoJitterBufferConfig& config);

  void Insert(const ReceivedMedia& media, Timestamp now);
  // The next frame whose time has come.
  std::optional<VideoFrame> Poll(Timestamp now);
  Timestamp next_deadline() const;
  // True if a keyframe is to be requested from the publisher now.
  bool TakeKeyframeRequest(Timestamp now);

  Duration target() const { return delay_.target(); }
  size_t frames() const { return frames_.size(); }
  const FrameAssembler& assembler() const { return assembler_; }
  const VideoJitterBufferCounters& counters() const { return counters_; }

 private:
  using Frames = std::map<int64_t, AssembledFrame>;
  Duration MediaTime(int64_t timestamp) const;
  Timestamp PlayoutOf(const AssembledFrame& frame) const;
  void Take(AssembledFrame frame, Timestamp now);
  // The next frame to release: the one that follows the last, else the first keyframe.
  Frames::const_iterator Next() const;
  bool Continues(const AssembledFrame& frame) const;
  void MakeRoom();

  VideoJitterBufferConfig config_;
  FrameAssembler assembler_;
  DelayEstimator delay_;
  Unwrapper<uint32_t> timestamp_;
  Frames frames_;  // by first number
  std::optional<int64_t> next_sequence_;
  std::optional<int64_t> last_timestamp_;
  std::optional<uint32_t> source_;
  std::optional<Timestamp> starving_since_;
  std::optional<Timestamp> asked_;
  bool came_since_asked_ = false;
  VideoJitterBufferCounters counters_;
};

}  // namespace nexus
