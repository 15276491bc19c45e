#include "engine/rtp/rtp_writer.h"

namespace nexus {
namespace {

constexpr size_t kMaxDescriptorSize = 255;  // RFC 8285 §4.3: one byte of length

class ExtensionBlock {
 public:
  ExtensionBlock(ByteWriter& writer, bool two_byte) : writer_(writer), two_byte_(two_byte) {}

  void Element(uint8_t id, ByteView value) {
    if (two_byte_) {
      writer_.U8(id);
      writer_.U8(static_cast<uint8_t>(value.size()));
    } else {
      writer_.U8(static_cast<uint8_t>(id << 4 | (value.size() - 1)));
    }
    writer_.Bytes(value);
  }
  // Reserves the space of an element that this packet lacks (RFC 8285 §4.2: zero bytes are padding anywhere).
  void Reserve(size_t value_size) { writer_.Zeros(value_size + (two_byte_ ? 2 : 1)); }
  void OneByteOrReserve(uint8_t id, std::optional<uint8_t> value) {
    if (value) {
      Element(id, ByteView(&*value, 1));
    } else {
      Reserve(1);
    }
  }

 private:
  ByteWriter& writer_;
  bool two_byte_;
};

// All packets of a subscriber use one form, unless a descriptor is too long for the one-byte form.
bool NeedsTwoByte(const OutgoingRtpHeader& header, bool descriptor) {
  if (descriptor && header.dependency_descriptor.size() > 16) return true;
  for (const auto extension :
       {RtpExtension::kAbsSendTime, RtpExtension::kTransportSequenceNumber, RtpExtension::kAudioLevel,
        RtpExtension::kVideoOrientation, RtpExtension::kDependencyDescriptor}) {
    if (header.ids.id(extension) > 14) return true;
  }
  return false;
}

void WriteElements(ExtensionBlock& block, const OutgoingRtpHeader& header, bool descriptor) {
  const RtpExtensionIds& ids = header.ids;
  if (const uint8_t id = ids.id(RtpExtension::kAbsSendTime)) {
    const uint32_t time = header.abs_send_time;
    block.Element(id, std::array{static_cast<uint8_t>(time >> 16), static_cast<uint8_t>(time >> 8),
                                 static_cast<uint8_t>(time)});
  }
  if (const uint8_t id = ids.id(RtpExtension::kTransportSequenceNumber)) {
    const uint16_t sequence = header.transport_sequence_number;
    block.Element(id, std::array{static_cast<uint8_t>(sequence >> 8), static_cast<uint8_t>(sequence)});
  }
  if (const uint8_t id = ids.id(RtpExtension::kAudioLevel); id && !header.video) {
    std::optional<uint8_t> value;
    if (header.audio_level) {
      value =
          static_cast<uint8_t>((header.audio_level->voice ? 0x80 : 0) | (header.audio_level->level & 0x7F));
    }
    block.OneByteOrReserve(id, value);
  }
  if (const uint8_t id = ids.id(RtpExtension::kVideoOrientation); id && header.video) {
    block.OneByteOrReserve(id, header.video_orientation);
  }
  if (descriptor) block.Element(ids.id(RtpExtension::kDependencyDescriptor), header.dependency_descriptor);
}

}  // namespace

size_t WriteRtpHeader(MutableByteView out, const OutgoingRtpHeader& header) {
  const bool descriptor = header.ids.has(RtpExtension::kDependencyDescriptor) &&
                          !header.dependency_descriptor.empty() &&
                          header.dependency_descriptor.size() <= kMaxDescriptorSize;
  ByteWriter writer(out);
  const size_t first_at = writer.size();
  writer.U8(0x81);  // version 2, one CSRC; the X bit is set below
  writer.U8(static_cast<uint8_t>((header.marker ? 0x80 : 0) | (header.payload_type.value & 0x7F)));
  writer.U16(header.sequence_number);
  writer.U32(header.timestamp);
  writer.U32(header.ssrc.value);
  writer.U32(header.csrc);
  const size_t block_at = writer.size();
  const bool two_byte = NeedsTwoByte(header, descriptor);
  writer.U16(two_byte ? kTwoByteExtensionProfile : kOneByteExtensionProfile);
  writer.U16(0);
  ExtensionBlock block(writer, two_byte);
  WriteElements(block, header, descriptor);
  const size_t elements = writer.size() - block_at - 4;
  if (!writer.ok()) return 0;
  if (elements == 0) return block_at;  // nothing negotiated: no block
  writer.Zeros((4 - elements % 4) % 4);
  writer.PatchU16(block_at + 2, static_cast<uint16_t>((elements + 3) / 4));
  if (!writer.ok()) return 0;
  out[first_at] |= 0x10;
  return writer.size();
}

}  // namespace nexus
