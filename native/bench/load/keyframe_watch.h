// Detects the first frame of a video stream that a decoder can start with: a keyframe whose packets have all
// arrived, possibly by retransmission. Until then every packet of the stream is opened.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/client/receive_stream.h"
#include "engine/codec/payload_inspector.h"

namespace nexus::load {

class KeyframeWatch {
 public:
  explicit KeyframeWatch(Codec codec) : inspector_(codec) {}

  // Takes each opened packet. True if it completes a keyframe.
  bool OnPacket(const ReceivedMedia& media) {
    if (media.payload.empty()) return false;  // a probe
    const FrameInfo info =
        inspector_.Inspect(media.payload, media.timestamp, media.marker, media.dependency_descriptor);
    Frame& frame = FrameOf(media.timestamp);
    ++frame.packets;
    if (info.keyframe_start) frame.first = media.sequence_number;
    if (media.marker) frame.last = media.sequence_number;
    return frame.first && frame.last && frame.packets == *frame.last - *frame.first + 1;
  }
  // True if a keyframe has begun and may still be completed.
  bool coming() const {
    for (const Frame& frame : frames_) {
      if (frame.first) return true;
    }
    return false;
  }

 private:
  struct Frame {
    std::optional<uint32_t> timestamp;
    std::optional<int64_t> first;
    std::optional<int64_t> last;
    int64_t packets = 0;
  };
  // A frame's packets share one timestamp (RFC 7741 section 4.1, RFC 6184 section 5.1). Only a few frames are
  // remembered; a new one replaces the oldest.
  Frame& FrameOf(uint32_t timestamp) {
    for (Frame& frame : frames_) {
      if (frame.timestamp == timestamp) return frame;
    }
    Frame& frame = frames_[next_++ % frames_.size()];
    frame = Frame{timestamp, std::nullopt, std::nullopt, 0};
    return frame;
  }

  PayloadInspector inspector_;
  std::array<Frame, 8> frames_;
  size_t next_ = 0;
};

}  // namespace nexus::load
