// Splitting of an encoded frame into RTP payloads: VP8 (RFC 7741), VP9 non-flexible of one layer (RFC 9628),
// H.264 in packetization mode 1 (RFC 6184), AV1 (AV1 RTP specification). Parts have about equal sizes, as in
// libwebrtc, but the larger ones come first: a GSO run may end with a shorter packet and may not contain a
// longer one.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/codec/codec.h"

namespace nexus {

struct PacketizerConfig {
  Codec codec = Codec::kVp8;
  size_t max_payload = 1'150;  // descriptor included; header, extensions and tag still fit 1,250 bytes
  uint16_t first_picture_id = 0;
};

struct FrameToSend {
  ByteView bitstream;  // H.264: Annex B; AV1: OBUs with sizes
  bool keyframe = false;
  uint8_t temporal_id = 0;
  bool layer_sync = false;  // VP8: depends on temporal layer 0 only
  bool non_reference = false;
  uint8_t temporal_layers = 1;
};

struct PacketPayload {
  std::vector<uint8_t> prefix;  // descriptor
  ByteView rest;                // in the frame's own memory
  bool marker = false;
};

class Packetizer {
 public:
  explicit Packetizer(const PacketizerConfig& config)
      : config_(config), picture_id_(config.first_picture_id & 0x7FFF) {}

  // The result is valid until the next call and as long as the frame's memory. It is empty if the bitstream
  // is not of this codec.
  const std::vector<PacketPayload>& Cut(const FrameToSend& frame);

 private:
  void CutVp8(const FrameToSend& frame);
  void CutVp9(const FrameToSend& frame);
  void CutH264(const FrameToSend& frame);
  void CutAv1(const FrameToSend& frame);
  void NextPicture(const FrameToSend& frame);

  PacketizerConfig config_;
  uint16_t picture_id_;
  uint8_t tl0_picture_index_ = 0;
  bool begun_ = false;
  std::vector<PacketPayload> payloads_;
};

// Sizes of the parts of `size` bytes when none may exceed `limit`: equal up to a byte, larger ones first.
std::vector<size_t> EqualParts(size_t size, size_t limit);

}  // namespace nexus
