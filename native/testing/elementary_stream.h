// Assembles RTP packets into a file that ffmpeg can decode: IVF (VP8, VP9, AV1) or Annex B (H.264). As in a
// receiver, frames that lack a packet are left out.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "engine/codec/codec.h"

namespace nexus::testing {

struct StreamPacket {
  uint32_t timestamp = 0;
  bool marker = false;
  bool frame_start = false;  // as the payload says
  std::vector<uint8_t> payload;
};

class ElementaryStream {
 public:
  explicit ElementaryStream(Codec codec) : codec_(codec) {}
  // In any order; `sequence` is unwrapped.
  void Add(int64_t sequence, StreamPacket packet) { packets_.emplace(sequence, std::move(packet)); }
  // Number of frames written, without those that lack a packet.
  size_t Write(const std::filesystem::path& path) const;

 private:
  std::vector<std::vector<uint8_t>> WholeFrames() const;

  Codec codec_;
  std::map<int64_t, StreamPacket> packets_;
};

}  // namespace nexus::testing
