// A synthetic encoder with layers, for streams of which there are no captures: temporal layers of VP8,
// spatial and temporal layers of VP9 (flexible and not, K-SVC), and any codec with dependency descriptors.
// Each frame lists the frames that it refers to, so that a test can check whether a subscriber can decode
// what it received.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "engine/codec/payload_inspector.h"
#include "engine/forward/source_packet.h"

namespace nexus::testing {

enum class LayerSignal : uint8_t { kVp8, kVp9Flexible, kVp9NonFlexible, kDescriptor };

struct LayeredSourceOptions {
  LayerSignal signal = LayerSignal::kVp8;
  Codec codec = Codec::kVp8;  // with kDescriptor the payload is noise, as if encrypted
  bool descriptors = false;   // in addition to the payload
  uint8_t spatial = 1;
  uint8_t temporal = 3;
  bool key_only = false;  // K-SVC: layers refer to one another in key pictures only
  int64_t first_sequence = 70'000;
  uint16_t first_picture = 32'760;  // wraps soon
  uint8_t first_tl0 = 250;
  uint16_t first_frame_number = 65'500;
  uint16_t frame_number_step = 1;  // encodings of one simulcast may share their numbers, as libwebrtc's do
  uint8_t template_offset = 0;
  size_t packets_per_frame = 2;
};

struct LayeredFrame {
  size_t id = 0;  // place in `frames`
  uint32_t picture = 0;
  uint8_t spatial = 0;
  uint8_t temporal = 0;
  bool key = false;
  std::vector<size_t> needs;
};

struct LayeredPacket {
  SourcePacket packet;
  size_t frame = 0;
  bool last_of_frame = false;
};

class LayeredSource {
 public:
  explicit LayeredSource(const LayeredSourceOptions& options)
      : options_(options),
        inspector_(options.codec),
        sequence_(options.first_sequence),
        frame_number_(options.first_frame_number),
        tl0_(options.first_tl0) {}

  // The packets of the next picture, in order. They live as long as the source.
  std::vector<LayeredPacket> NextPicture(bool key);
  const std::vector<LayeredFrame>& frames() const { return frames_; }
  uint32_t pictures() const { return picture_; }

 private:
  uint8_t TemporalOf(uint32_t since_key) const;
  LayeredFrame& AddFrame(uint8_t spatial, uint8_t temporal, bool key);
  std::vector<uint8_t> Payload(const LayeredFrame& frame, bool first, bool last) const;
  std::vector<uint8_t> Vp8Payload(const LayeredFrame& frame, bool first) const;
  std::vector<uint8_t> Vp9Payload(const LayeredFrame& frame, bool first, bool last) const;
  std::vector<uint8_t> Descriptor(const LayeredFrame& frame, bool first, bool last) const;
  uint32_t Indication(const LayeredFrame& frame, uint8_t spatial, uint8_t temporal) const;
  bool InChain(const LayeredFrame& frame, uint8_t chain) const;

  LayeredSourceOptions options_;
  PayloadInspector inspector_;
  std::vector<LayeredFrame> frames_;
  std::deque<std::vector<uint8_t>> bytes_;
  int64_t sequence_;
  int64_t timestamp_ = 1'000'000;
  Timestamp time_ = TimestampFromMicros(10'000'000);
  uint32_t picture_ = 0;
  uint32_t since_key_ = 0;
  uint16_t frame_number_;
  uint8_t tl0_;
  uint8_t structures_ = 0;
  std::map<std::pair<uint8_t, uint8_t>, size_t> last_;  // newest frame of each layer
  std::map<uint8_t, uint16_t> chain_last_;              // frame number of the newest frame of each chain
  std::map<uint8_t, uint8_t> chain_diff_;               // of the current frame
};

}  // namespace nexus::testing
