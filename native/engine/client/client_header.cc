#include "engine/client/client_header.h"

namespace nexus {
namespace {

class Elements {
 public:
  Elements(ByteWriter& writer, const RtpExtensionIds& ids, bool two_byte)
      : writer_(writer), ids_(ids), two_byte_(two_byte) {}

  void Add(RtpExtension extension, ByteView value) {
    const uint8_t id = ids_.id(extension);
    if (id == 0 || value.empty()) return;
    if (two_byte_) {
      writer_.U8(id);
      writer_.U8(static_cast<uint8_t>(value.size()));
    } else {
      writer_.U8(static_cast<uint8_t>(id << 4 | (value.size() - 1)));
    }
    writer_.Bytes(value);
  }
  void Add(RtpExtension extension, std::string_view text) {
    Add(extension, ByteView(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }

 private:
  ByteWriter& writer_;
  const RtpExtensionIds& ids_;
  bool two_byte_;
};

// RFC 8285 section 4.2: ids up to 14, values of 1 to 16 bytes.
bool NeedsTwoByte(const ClientRtpHeader& header) {
  if (header.dependency_descriptor.size() > 16) return true;
  for (size_t i = 0; i < kRtpExtensionCount; ++i) {
    if (header.ids.id(static_cast<RtpExtension>(i)) > 14) return true;
  }
  return false;
}

void WriteElements(Elements& elements, const ClientRtpHeader& header) {
  if (header.abs_send_time) {
    const uint32_t time = *header.abs_send_time;
    elements.Add(RtpExtension::kAbsSendTime,
                 std::array{static_cast<uint8_t>(time >> 16), static_cast<uint8_t>(time >> 8),
                            static_cast<uint8_t>(time)});
  }
  if (header.transport_sequence_number) {
    const uint16_t number = *header.transport_sequence_number;
    elements.Add(RtpExtension::kTransportSequenceNumber,
                 std::array{static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)});
  }
  if (header.audio_level) {
    const uint8_t level =
        static_cast<uint8_t>((header.audio_level->voice ? 0x80 : 0) | (header.audio_level->level & 0x7F));
    elements.Add(RtpExtension::kAudioLevel, ByteView(&level, 1));
  }
  elements.Add(RtpExtension::kMid, header.mid.substr(0, kMaxClientIdentifierSize));
  elements.Add(RtpExtension::kRid, header.rid.substr(0, kMaxClientIdentifierSize));
  elements.Add(RtpExtension::kRepairedRid, header.repaired_rid.substr(0, kMaxClientIdentifierSize));
  if (header.dependency_descriptor.size() <= 255) {
    elements.Add(RtpExtension::kDependencyDescriptor, header.dependency_descriptor);
  }
}

}  // namespace

size_t WriteClientRtpHeader(MutableByteView out, const ClientRtpHeader& header) {
  ByteWriter writer(out);
  writer.U8(static_cast<uint8_t>(0x80 | (header.padding ? 0x20 : 0)));
  writer.U8(static_cast<uint8_t>((header.marker ? 0x80 : 0) | (header.payload_type.value & 0x7F)));
  writer.U16(header.sequence_number);
  writer.U32(header.timestamp);
  writer.U32(header.ssrc.value);
  const size_t block_at = writer.size();
  const bool two_byte = NeedsTwoByte(header);
  writer.U16(two_byte ? kTwoByteExtensionProfile : kOneByteExtensionProfile);
  writer.U16(0);
  Elements elements(writer, header.ids, two_byte);
  WriteElements(elements, header);
  const size_t size = writer.size() - block_at - 4;
  if (!writer.ok()) return 0;
  if (size == 0) return block_at;
  writer.Zeros((4 - size % 4) % 4);
  writer.PatchU16(block_at + 2, static_cast<uint16_t>((size + 3) / 4));
  if (!writer.ok()) return 0;
  out[0] |= 0x10;
  return writer.size();
}

}  // namespace nexus
