#include "engine/codec/h264/h264_inspector.h"

namespace nexus {
namespace {

// RFC 6184 §5.2, H.264 table 7-1
enum NalType : uint8_t { kSlice = 1, kPartitionA = 2, kIdr = 5, kSps = 7, kPps = 8, kStapA = 24, kFuA = 28 };

void Note(uint8_t type, H264Packet& packet) {
  packet.has_sps |= type == kSps;
  packet.has_pps |= type == kPps;
  packet.idr_start |= type == kIdr;
  packet.frame_slice_start |= type == kIdr || type == kSlice || type == kPartitionA;
}

}  // namespace

std::optional<H264Packet> ParseH264Payload(ByteView payload) {
  ByteReader reader(payload);
  const uint8_t head = reader.U8();
  if (!reader.ok()) return std::nullopt;
  H264Packet packet;
  switch (head & 0x1F) {
    case kStapA:  // §5.7.1: size (16) and NAL unit, repeated
      while (reader.remaining() > 0) {
        const ByteView unit = reader.Bytes(reader.U16());
        if (!reader.ok()) return std::nullopt;
        if (!unit.empty()) Note(unit[0] & 0x1F, packet);
      }
      return packet;
    case kFuA: {  // §5.8: |S|E|R| type |
      const uint8_t fragment = reader.U8();
      if (!reader.ok()) return std::nullopt;
      if (fragment & 0x80) Note(fragment & 0x1F, packet);
      return packet;
    }
    default:
      Note(head & 0x1F, packet);
      return packet;
  }
}

H264Inspector::Result H264Inspector::Inspect(ByteView payload, uint32_t rtp_timestamp) {
  const auto packet = ParseH264Payload(payload);
  if (!packet) return {};
  Result result;
  result.frame_start = last_timestamp_ != rtp_timestamp;
  last_timestamp_ = rtp_timestamp;
  // A switch must begin at the SPS, before the IDR slice. Further SPSs and slices of the same access unit
  // begin nothing.
  const bool begins = packet->has_sps || (packet->idr_start && !seen_sps_);
  if (begins && keyframe_timestamp_ != rtp_timestamp) {
    keyframe_timestamp_ = rtp_timestamp;
    result.keyframe_start = true;
  }
  if (packet->has_sps) sps_timestamp_ = rtp_timestamp;
  result.bare_idr = packet->idr_start && sps_timestamp_ != rtp_timestamp;
  seen_sps_ |= packet->has_sps;
  return result;
}

std::optional<H264ProfileLevel> ParseProfileLevelId(std::string_view hex) {
  if (hex.size() != 6) return std::nullopt;
  uint32_t value = 0;
  for (const char c : hex) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value << 4 | static_cast<uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value << 4 | static_cast<uint32_t>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  const uint8_t idc = static_cast<uint8_t>(value >> 16);
  const uint8_t constraints = static_cast<uint8_t>(value >> 8);
  H264ProfileLevel result{H264Profile::kOther, static_cast<uint8_t>(value)};
  // RFC 6184 table 5: bit patterns of profile-iop
  switch (idc) {
    case 66:
      result.profile = constraints & 0x40 ? H264Profile::kConstrainedBaseline : H264Profile::kBaseline;
      break;
    case 77:
      result.profile = constraints & 0x80 ? H264Profile::kConstrainedBaseline : H264Profile::kMain;
      break;
    case 88:
      if ((constraints & 0xC0) == 0xC0) result.profile = H264Profile::kConstrainedBaseline;
      break;
    case 100:
      result.profile = (constraints & 0x0C) == 0x0C ? H264Profile::kConstrainedHigh : H264Profile::kHigh;
      break;
    default:
      break;
  }
  return result;
}

}  // namespace nexus
