// Reads from one whole frame what a container needs to know: whether a decoder can start here, the size of
// the picture, the number of spatial layers, and the decoder's configuration. The frame comes from
// `Depacketize`, or from a decryption behind it: anything may be inside, and nothing is returned for what is
// no frame of the codec.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/codec/codec.h"

namespace nexus {

struct FrameDescription {
  bool keyframe = false;
  // False for parameter sets alone, which belong to the frame behind them.
  bool has_picture = true;
  // Size of the highest spatial layer; 0: the frame does not contain it.
  uint16_t width = 0;
  uint16_t height = 0;
  uint8_t spatial_layers = 1;
  // H.264: the SPS and PPS units of the frame in Annex B form; AV1: its sequence header OBU with its size.
  std::vector<uint8_t> configuration;
};

std::optional<FrameDescription> DescribeFrame(Codec codec, ByteView frame);

// The parts, by codec.
std::optional<FrameDescription> DescribeVp8(ByteView frame);  // RFC 6386 section 9.1
std::optional<FrameDescription> DescribeVp9(
    ByteView frame);  // VP9 bitstream specification, sections 6.2 and 7.2
std::optional<FrameDescription> DescribeH264(
    ByteView frame);                                          // H.264 sections 7.3.1, 7.3.2.1.1 and 7.4.2.1.1
std::optional<FrameDescription> DescribeAv1(ByteView frame);  // AV1 sections 5.3 and 5.5

}  // namespace nexus
