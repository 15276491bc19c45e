// Descriptions of frames: of the input as it is, and of what `Depacketize` makes of its packets. The first
// byte chooses the codec and the kind of input; packets are a length and their bytes.
#include <algorithm>
#include <cstdlib>

#include "engine/frames/depacketizer.h"
#include "engine/frames/frame_description.h"
#include "engine/frames/shown_layer.h"

using namespace nexus;

namespace {

// Hiding the lower layers changes nothing a second time, and adds little.
void CheckShownLayer(ByteView frame) {
  ShownLayer first;
  const auto hidden = first.Apply(frame);
  if (hidden.size() > frame.size() + 48) std::abort();
  if (hidden.size() == frame.size() && std::equal(hidden.begin(), hidden.end(), frame.begin())) return;
  ShownLayer second;
  if (second.Apply(hidden) != hidden) std::abort();
}

void Check(Codec codec, ByteView frame) {
  if (codec == Codec::kVp9) CheckShownLayer(frame);
  const auto description = DescribeFrame(codec, frame);
  if (!description) return;
  if (description->spatial_layers == 0 || description->spatial_layers > 8) std::abort();
  if (description->configuration.size() > 16'384) std::abort();
  // The configuration is a part of the frame that can be described by itself.
  if (description->configuration.empty()) return;
  const auto alone = DescribeFrame(codec, description->configuration);
  if (!alone || alone->configuration != description->configuration) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteReader reader(ByteView(data, size));
  const uint8_t head = reader.U8();
  const auto codec = static_cast<Codec>(head % 5);
  if ((head & 0x80) != 0) {
    Check(codec, reader.Rest());
    return 0;
  }
  std::vector<ByteView> payloads;
  while (reader.remaining() > 0)
    payloads.push_back(reader.Bytes(std::min<size_t>(reader.U8(), reader.remaining())));
  std::vector<uint8_t> frame;
  if (Depacketize(codec, payloads, frame)) Check(codec, frame);
  return 0;
}
