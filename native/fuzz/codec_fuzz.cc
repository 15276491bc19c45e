// Payloads of every codec and the dependency descriptor: packets pass through one inspector, a slot that
// chooses layers, and the rewriters. The first byte chooses the codec; each packet is a length, the length of
// its descriptor, and both. A written descriptor must be readable; parameter sets are bounded.
#include <algorithm>
#include <cstdlib>

#include "engine/codec/av1/descriptor_rewrite.h"
#include "engine/codec/h264/parameter_sets.h"
#include "engine/codec/payload_inspector.h"
#include "engine/codec/payload_rewriter.h"
#include "engine/codec/picture_size.h"
#include "engine/forward/slot_forwarder.h"

namespace {

using namespace nexus;

void CheckDescriptor(const SourcePacket& packet, const DescriptorPatch& patch) {
  if (!patch.forwarded) return;
  std::array<uint8_t, 512> buffer;
  const ByteView written =
      WriteRewrittenDescriptor(packet.dependency_descriptor, *packet.frame.dependency, patch, buffer);
  if (written.size() > packet.dependency_descriptor.size() + kMaxDescriptorGrowth) std::abort();
  if (written.empty() || !packet.frame.dependency->has_structure) return;
  // A structure that was parsed must still be valid after it has been rewritten.
  DependencyState receiver;
  const auto again = ParseDependencyDescriptor(written, receiver);
  if (!again || !receiver.structure) std::abort();
  if (again->template_count != packet.frame.dependency->template_count) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteReader reader(ByteView(data, size));
  const auto codec = static_cast<Codec>(reader.U8() % 5);
  PayloadInspector inspector(codec);
  PayloadRewriter rewriter;
  rewriter.Bind(codec);
  SlotForwarder slot({codec != Codec::kOpus, 90'000, 7, 9, TimestampFromMicros(0)});
  slot.Bind({LayerId{1}, 1, codec});
  ParameterSets sets;
  for (uint32_t i = 0; reader.ok() && reader.remaining() > 2; ++i) {
    const uint8_t head = reader.U8();
    const size_t descriptor_size = reader.U8() % 128;
    SourcePacket packet;
    packet.sequence_number = 70'000 + i + (head & 3);
    packet.timestamp = i / 3 * 3000;
    packet.media_time = packet.arrival = TimestampFromMicros(1'000'000 + i / 3 * 33'333);
    packet.payload = reader.Bytes(std::min<size_t>(head, reader.remaining()));
    packet.dependency_descriptor = reader.Bytes(std::min(descriptor_size, reader.remaining()));
    packet.marker = head & 1;
    packet.frame = inspector.Inspect(packet.payload, i / 3, packet.marker, packet.dependency_descriptor);
    if (packet.frame.keyframe_start) (void)KeyframeSize(packet.payload, packet.frame);
    if (codec == Codec::kH264) {
      sets.OnPayload(packet.payload);
      ParameterSets again;
      again.OnPayload(sets.ToPayload());
      if (again.ToPayload().size() > ParameterSets::kMaxBytes || again.complete() != sets.complete())
        std::abort();
    }
    const auto targets = static_cast<uint16_t>(head * 257);
    const CodecPatch patch = rewriter.Rewrite(packet.frame, packet.payload);
    if (patch.replaces > packet.payload.size() || patch.size > patch.bytes.size()) std::abort();
    CheckDescriptor(packet, rewriter.RewriteDescriptor(packet.frame, targets));
    slot.SetLimit({static_cast<uint8_t>(head & 3), static_cast<uint8_t>(head >> 2 & 3)});
    const auto out = slot.Forward(LayerId{1}, packet);
    if (out && out->patch.replaces > packet.payload.size()) std::abort();
    if (out) CheckDescriptor(packet, out->descriptor);
    if (head == 0xAA) {
      rewriter.Bind(codec);
      slot.Bind({LayerId{1}, 1, codec});
    }
  }
  return 0;
}
