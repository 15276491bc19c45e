// AV1 in RTP (AV1 RTP specification §4): the aggregation header, and the start of a coded video sequence.
#pragma once

#include <optional>

#include "engine/codec/av1/dependency_descriptor.h"

namespace nexus {

struct Av1Packet {
  bool continues = false;        // Z: the first OBU element continues one of the previous packet
  bool to_be_continued = false;  // Y
  bool new_sequence = false;     // N: first packet of a coded video sequence
  bool sequence_header = false;  // the packet contains an OBU_SEQUENCE_HEADER
};
std::optional<Av1Packet> ParseAv1Payload(ByteView payload);

class Av1Inspector {
 public:
  struct Result {
    bool keyframe_start = false;
    bool frame_start = false;
  };
  Result Inspect(ByteView payload, uint32_t rtp_timestamp);

 private:
  std::optional<uint32_t> last_timestamp_;
};

}  // namespace nexus
