// A view of one RTP packet (RFC 3550 §5.1) and its header extensions (RFC 8285), without copies. Parsing has
// two steps, because SRTP encrypts payload and padding but not the header: `ParseRtpHeader` before the packet
// is opened, and `CompleteRtp` after it.
#pragma once

#include <optional>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"

namespace nexus {

inline constexpr size_t kRtpFixedHeaderSize = 12;
inline constexpr uint16_t kOneByteExtensionProfile = 0xBEDE;  // RFC 8285 §4.2
inline constexpr uint16_t kTwoByteExtensionProfile =
    0x1000;  // RFC 8285 §4.3, the low four bits are "appbits"

struct RtpHeader {
  bool padding = false;
  bool marker = false;
  PayloadType payload_type;
  uint16_t sequence_number = 0;
  uint32_t timestamp = 0;
  Ssrc ssrc;
  uint8_t csrc_count = 0;
  uint16_t extension_profile = 0;  // 0: no extension block
  uint16_t extensions_offset = 0;  // of the elements, after profile and length
  uint16_t extensions_size = 0;
  uint16_t header_size = 0;  // the part that SRTP does not encrypt
};

// Nothing if the header is incomplete. Payload and padding are not checked.
std::optional<RtpHeader> ParseRtpHeader(ByteView packet);

struct RtpExtensionElement {
  uint8_t id = 0;
  ByteView value;
};

// Reads the elements of one extension block; ends at the first one that does not fit.
class RtpExtensionReader {
 public:
  RtpExtensionReader(ByteView elements, uint16_t profile);
  std::optional<RtpExtensionElement> Next();

 private:
  ByteReader reader_;
  bool two_byte_ = false;
  bool none_ = false;
};

class RtpPacketView {
 public:
  RtpPacketView() = default;
  RtpPacketView(const RtpHeader& header, ByteView packet, size_t padding_size)
      : header_(header), packet_(packet), padding_size_(padding_size) {}

  const RtpHeader& header() const { return header_; }
  ByteView packet() const { return packet_; }
  // Without padding. Empty for a padding-only probe.
  ByteView payload() const {
    return packet_.subspan(header_.header_size, packet_.size() - header_.header_size - padding_size_);
  }
  size_t padding_size() const { return padding_size_; }
  uint32_t csrc(size_t index) const;
  RtpExtensionReader extensions() const {
    return RtpExtensionReader(packet_.subspan(header_.extensions_offset, header_.extensions_size),
                              header_.extension_profile);
  }
  // The value of the first element with this id; id 0 (not negotiated) finds nothing.
  std::optional<ByteView> FindExtension(uint8_t id) const;

 private:
  RtpHeader header_;
  ByteView packet_;
  size_t padding_size_ = 0;
};

// `packet` is decrypted. Nothing if the padding is longer than what follows the header (RFC 3550 §5.1).
std::optional<RtpPacketView> CompleteRtp(const RtpHeader& header, ByteView packet);
std::optional<RtpPacketView> ParseRtp(ByteView packet);

}  // namespace nexus
