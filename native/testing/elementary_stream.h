// Puts RTP back together as a receiver does, into a file that ffmpeg can decode: IVF (VP8, VP9, AV1) or Annex
// B (H.264). Frames that lack a packet are left out, as a receiver leaves them out.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "engine/codec/codec.h"

namespace nexus::testing {

struct StreamPacket {
  uint32_t timestamp = 0;
  bool marker = false;
  bool frame_start = false;  // as the payload tells
  std::vector<uint8_t> payload;
};

class ElementaryStream {
 public:
  explicit ElementaryStream(Codec codec) : codec_(codec) {}
  // In any order; `sequence` is unwrapped.
  void Add(int64_t sequence, StreamPacket packet) { packets_.emplace(sequence, std::move(packet)); }
  // How many frames it wrote; those that lack a packet are not among them.
  size_t Write(const std::filesystem::path& path) const;

 private:
  std::vector<std::vector<uint8_t>> WholeFrames() const;

  Codec codec_;
  std::map<int64_t, StreamPacket> packets_;
};

}  // namespace nexus::testing
