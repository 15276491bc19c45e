// Looks at the payloads of one published layer, in arrival order, and says what each packet is. Keeps what
// only earlier packets tell: the AV1 template structure, H.264 parameter sets.
#pragma once

#include "engine/base/bytes.h"
#include "engine/codec/av1/av1_inspector.h"
#include "engine/codec/codec.h"
#include "engine/codec/h264/h264_inspector.h"

namespace nexus {

class PayloadInspector {
 public:
  explicit PayloadInspector(Codec codec);
  Codec codec() const { return codec_; }
  // `dependency_descriptor` is the extension's value, empty when absent.
  FrameInfo Inspect(ByteView payload, uint32_t rtp_timestamp, bool marker, ByteView dependency_descriptor);

 private:
  struct Opus {};
  struct Vp8 {};
  struct Vp9 {};
  using State = std::variant<Opus, Vp8, Vp9, H264Inspector, Av1Inspector>;
  static State StateFor(Codec codec);

  Codec codec_;
  State state_;
};

}  // namespace nexus
