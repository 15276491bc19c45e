// Payloads of every codec, and the dependency descriptor: a run of packets through one inspector and one
// rewriter each. The first byte chooses the codec; then each packet is a length, a length of its descriptor,
// and both.
#include <algorithm>
#include <cstdlib>

#include "engine/codec/payload_inspector.h"
#include "engine/codec/payload_rewriter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nexus;
  ByteReader reader(ByteView(data, size));
  const auto codec = static_cast<Codec>(reader.U8() % 5);
  PayloadInspector inspector(codec);
  PayloadRewriter rewriter;
  rewriter.Bind(codec);
  for (uint32_t i = 0; reader.ok() && reader.remaining() > 2; ++i) {
    const uint8_t head = reader.U8();
    const size_t descriptor_size = reader.U8() % 64;
    const ByteView payload = reader.Bytes(std::min<size_t>(head, reader.remaining()));
    const ByteView descriptor = reader.Bytes(std::min(descriptor_size, reader.remaining()));
    const FrameInfo frame = inspector.Inspect(payload, i / 3, head & 1, descriptor);
    const CodecPatch patch = rewriter.Rewrite(frame, payload, descriptor);
    const size_t limit = codec == Codec::kAv1 ? descriptor.size() : payload.size();
    if (patch.replaces > limit || patch.size > patch.bytes.size()) std::abort();
    if (head == 0xAA) rewriter.Bind(codec);
  }
  return 0;
}
