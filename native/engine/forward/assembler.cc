#include "engine/forward/assembler.h"

#include <array>

#include "engine/codec/av1/descriptor_rewrite.h"

namespace nexus {
namespace {

struct Identity {
  Ssrc ssrc;
  PayloadType payload_type;
  uint16_t sequence_number;
};

size_t WriteHeader(MutableByteView out, const OutgoingStream& stream, const Transmission& transmission,
                   const SourcePacket& packet, const Rewritten& rewritten, const Identity& identity) {
  OutgoingRtpHeader header;
  header.marker = rewritten.marker;
  header.payload_type = identity.payload_type;
  header.sequence_number = identity.sequence_number;
  header.timestamp = rewritten.timestamp;
  header.ssrc = identity.ssrc;
  header.csrc = rewritten.csrc;
  header.video = stream.video;
  header.ids = stream.ids;
  header.abs_send_time = transmission.abs_send_time;
  header.transport_sequence_number = transmission.transport_sequence_number;
  header.audio_level = packet.audio_level;
  header.video_orientation = packet.video_orientation;
  const bool descriptor = rewritten.descriptor.forwarded && !rewritten.empty && packet.frame.dependency &&
                          stream.ids.has(RtpExtension::kDependencyDescriptor);
  if (!descriptor) return WriteRtpHeader(out, header);
  std::array<uint8_t, 255> buffer;
  header.dependency_descriptor = WriteRewrittenDescriptor(
      packet.dependency_descriptor, *packet.frame.dependency, rewritten.descriptor, buffer);
  if (header.dependency_descriptor.empty()) return 0;
  return WriteRtpHeader(out, header);
}

OutgoingPacket Finish(MutableByteView scratch, size_t header_size, size_t prefix_size,
                      const SourcePacket& packet, const Rewritten& rewritten) {
  OutgoingPacket out;
  if (header_size == 0) return out;
  // An emptied packet has no payload byte at all: a codec's header without its content is malformed.
  const size_t replaces = rewritten.empty ? 0 : rewritten.patch.replaces;
  if (replaces > packet.payload.size()) return out;
  ByteWriter writer(scratch.subspan(header_size + prefix_size));
  if (!rewritten.empty) writer.Bytes(ByteView(rewritten.patch.bytes).first(rewritten.patch.size));
  if (!writer.ok()) return out;
  out.header = ByteView(scratch).first(header_size);
  out.prefix = ByteView(scratch).subspan(header_size, prefix_size + writer.size());
  if (!rewritten.empty) out.rest = packet.payload.subspan(replaces);
  return out;
}

// Includes padding that is already stored after the payload.
void AddPadding(MutableByteView scratch, const SourcePacket& packet, OutgoingPacket& out) {
  if (packet.padding == 0 || out.rest.empty()) return;
  scratch[0] |= 0x20;
  out.rest = ByteView(out.rest.data(), out.rest.size() + packet.padding);
}

}  // namespace

OutgoingPacket AssembleMedia(MutableByteView scratch, const OutgoingStream& stream,
                             const Transmission& transmission, const SourcePacket& packet,
                             const Rewritten& rewritten) {
  const Identity identity{stream.ssrc, stream.payload_type, static_cast<uint16_t>(rewritten.sequence_number)};
  const size_t size = WriteHeader(scratch, stream, transmission, packet, rewritten, identity);
  OutgoingPacket out = Finish(scratch, size, 0, packet, rewritten);
  AddPadding(scratch, packet, out);
  return out;
}

OutgoingPacket AssembleRed(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, ByteView red_prefix) {
  if (!stream.red_payload_type) return {};
  const Identity identity{stream.ssrc, *stream.red_payload_type,
                          static_cast<uint16_t>(rewritten.sequence_number)};
  const size_t size = WriteHeader(scratch, stream, transmission, packet, rewritten, identity);
  OutgoingPacket out = Finish(scratch, size, 0, packet, rewritten);
  if (!out.header.empty()) out.prefix = red_prefix;  // Opus is not rewritten
  return out;
}

OutgoingPacket AssembleRtx(MutableByteView scratch, const OutgoingStream& stream,
                           const Transmission& transmission, const SourcePacket& packet,
                           const Rewritten& rewritten, int64_t rtx_sequence_number) {
  const Identity identity{stream.rtx_ssrc, stream.rtx_payload_type,
                          static_cast<uint16_t>(rtx_sequence_number)};
  const size_t size = WriteHeader(scratch, stream, transmission, packet, rewritten, identity);
  if (size == 0) return {};
  const size_t prefix =
      WriteRtxPrefix(scratch.subspan(size), static_cast<uint16_t>(rewritten.sequence_number));
  if (prefix == 0) return {};
  return Finish(scratch, size, prefix, packet, rewritten);
}

}  // namespace nexus
