#include "engine/frames/depacketizer.h"

#include "engine/codec/av1/av1_inspector.h"
#include "engine/codec/h264/h264_inspector.h"
#include "engine/frames/superframe_index.h"

namespace nexus {
namespace {

void Append(std::vector<uint8_t>& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

bool DepacketizeVp8(std::span<const ByteView> payloads, std::vector<uint8_t>& out) {
  for (const ByteView payload : payloads) {
    const auto descriptor = ParseVp8Descriptor(payload);
    if (!descriptor) return false;
    Append(out, payload.subspan(descriptor->size));
  }
  return true;
}

bool DepacketizeVp9(std::span<const ByteView> payloads, std::vector<uint8_t>& out) {
  SuperframeIndex index;
  for (const ByteView payload : payloads) {
    const auto descriptor = ParseVp9Descriptor(payload);
    if (!descriptor) return false;
    const ByteView rest = payload.subspan(descriptor->size);
    if (!index.Add(rest.size(), descriptor->start_of_frame)) return false;
    Append(out, rest);
  }
  index.Write(out);
  return true;
}

constexpr uint8_t kStapA = 24;
constexpr uint8_t kFuA = 28;

void AppendNal(std::vector<uint8_t>& out, ByteView nal) {
  out.insert(out.end(), {0, 0, 0, 1});
  Append(out, nal);
}

bool DepacketizeH264(std::span<const ByteView> payloads, std::vector<uint8_t>& out) {
  bool in_fragment = false;
  for (const ByteView payload : payloads) {
    if (payload.empty()) return false;
    const uint8_t type = payload[0] & 0x1F;
    if (type == kFuA) {  // RFC 6184 section 5.8
      if (payload.size() < 3) return false;
      const bool start = payload[1] & 0x80;
      if (start == in_fragment) return false;  // a start inside, or a middle without a start
      if (start)
        out.insert(out.end(), {0, 0, 0, 1, static_cast<uint8_t>((payload[0] & 0xE0) | (payload[1] & 0x1F))});
      Append(out, payload.subspan(2));
      in_fragment = (payload[1] & 0x40) == 0;
      continue;
    }
    if (in_fragment) return false;
    if (type != kStapA) {
      AppendNal(out, payload);
      continue;
    }
    ByteReader reader(payload.subspan(1));  // section 5.7.1
    while (reader.remaining() > 0) {
      const ByteView nal = reader.Bytes(reader.U16());
      if (!reader.ok()) return false;
      if (!nal.empty()) AppendNal(out, nal);
    }
  }
  return !in_fragment;
}

std::optional<size_t> ReadLeb128(ByteReader& reader) {  // AV1 section 4.10.5
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    const uint8_t byte = reader.U8();
    if (!reader.ok()) return std::nullopt;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) return static_cast<size_t>(value);
  }
  return std::nullopt;
}

void WriteLeb128(std::vector<uint8_t>& out, size_t value) {
  do {
    const auto low = static_cast<uint8_t>(value & 0x7F);
    value >>= 7;
    out.push_back(static_cast<uint8_t>(low | (value != 0 ? 0x80 : 0)));
  } while (value != 0);
}

// Adds the size that the low-overhead form requires to an OBU, which in RTP usually has none.
bool AppendObu(std::vector<uint8_t>& out, ByteView obu) {
  constexpr uint8_t kHasSize = 0x02;
  constexpr uint8_t kHasExtension = 0x04;
  constexpr uint8_t kTemporalDelimiter = 2;
  constexpr uint8_t kTileList = 8;
  if (obu.empty()) return false;
  const uint8_t type = obu[0] >> 3 & 0x0F;
  // AV1 RTP specification section 5: these are not to be sent, and ignored.
  if (type == kTemporalDelimiter || type == kTileList) return true;
  ByteReader reader(obu);
  const uint8_t head = reader.U8();
  out.push_back(head | kHasSize);
  if (head & kHasExtension) out.push_back(reader.U8());
  ByteView content;
  if (head & kHasSize) {
    const auto size = ReadLeb128(reader);
    if (!size) return false;
    content = reader.Bytes(*size);
  } else {
    content = reader.Rest();
  }
  if (!reader.ok()) return false;
  WriteLeb128(out, content.size());
  Append(out, content);
  return true;
}

bool DepacketizeAv1(std::span<const ByteView> payloads, std::vector<uint8_t>& out) {
  out.insert(out.end(), {0x12, 0x00});  // a temporal delimiter with its size, 0
  std::vector<uint8_t> pending;         // an OBU that goes on in the next packet
  bool continued = false;
  for (const ByteView payload : payloads) {
    ByteReader reader(payload);
    const uint8_t head = reader.U8();  // Z Y W W N
    if (!reader.ok() || ((head & 0x80) != 0) != continued) return false;
    const unsigned elements = head >> 4 & 3;
    continued = (head & 0x40) != 0;
    for (unsigned i = 0; reader.remaining() > 0; ++i) {
      ByteView obu;
      if (elements != 0 && i + 1 >= elements) {
        obu = reader.Rest();
      } else {
        const auto size = ReadLeb128(reader);
        if (!size) return false;
        obu = reader.Bytes(*size);
      }
      if (!reader.ok()) return false;
      const bool last_goes_on = continued && reader.remaining() == 0;
      if (pending.empty() && !last_goes_on) {
        if (!AppendObu(out, obu)) return false;
        continue;
      }
      Append(pending, obu);
      if (last_goes_on) continue;
      if (!AppendObu(out, pending)) return false;
      pending.clear();
    }
  }
  return !continued && pending.empty();
}

}  // namespace

std::optional<FramePart> InspectFramePart(Codec codec, ByteView payload) {
  FramePart part;
  switch (codec) {
    case Codec::kOpus:
      return std::nullopt;
    case Codec::kVp8: {
      const auto descriptor = ParseVp8Descriptor(payload);
      if (!descriptor) return std::nullopt;
      part.begins = descriptor->start_of_partition && descriptor->partition == 0;
      part.keyframe = IsVp8KeyframeStart(*descriptor, payload);
      part.temporal_id = descriptor->temporal_id;
      part.discardable = descriptor->non_reference;
      return part;
    }
    case Codec::kVp9: {
      const auto descriptor = ParseVp9Descriptor(payload);
      if (!descriptor) return std::nullopt;
      // A picture of several spatial layers is one frame to the decoder: it begins with its lowest.
      part.begins = descriptor->start_of_frame && descriptor->spatial_id == 0;
      part.keyframe = IsVp9KeyframeStart(*descriptor);
      part.temporal_id = descriptor->temporal_id;
      return part;
    }
    case Codec::kH264: {
      const auto packet = ParseH264Payload(payload);
      if (!packet) return std::nullopt;
      part.begins = packet->has_sps;
      part.keyframe = packet->has_sps || packet->idr_start;
      part.discardable = (payload[0] & 0x60) == 0;  // nal_ref_idc 0
      return part;
    }
    case Codec::kAv1: {
      const auto packet = ParseAv1Payload(payload);
      if (!packet) return std::nullopt;
      part.begins = packet->new_sequence || (packet->sequence_header && !packet->continues);
      part.keyframe = part.begins;
      return part;
    }
  }
  return std::nullopt;
}

bool Depacketize(Codec codec, std::span<const ByteView> payloads, std::vector<uint8_t>& out) {
  switch (codec) {
    case Codec::kOpus:
      return false;
    case Codec::kVp8:
      return DepacketizeVp8(payloads, out);
    case Codec::kVp9:
      return DepacketizeVp9(payloads, out);
    case Codec::kH264:
      return DepacketizeH264(payloads, out);
    case Codec::kAv1:
      return DepacketizeAv1(payloads, out);
  }
  return false;
}

}  // namespace nexus
