#include "engine/client/packetizer.h"

#include <algorithm>
#include <optional>

namespace nexus {
namespace {

constexpr uint8_t kFuA = 28;

// NAL units of an Annex B stream (H.264 appendix B): behind 00 00 01, up to the next 00 00 (00) 01.
std::vector<ByteView> NalUnits(ByteView stream) {
  std::vector<ByteView> units;
  std::optional<size_t> begin;
  for (size_t i = 0; i + 3 <= stream.size(); ++i) {
    if (stream[i] != 0 || stream[i + 1] != 0 || stream[i + 2] != 1) continue;
    if (begin) {
      size_t end = i;
      while (end > *begin && stream[end - 1] == 0) --end;
      if (end > *begin) units.push_back(stream.subspan(*begin, end - *begin));
    }
    begin = i + 3;
    i += 2;
  }
  if (begin && *begin < stream.size()) units.push_back(stream.subspan(*begin));
  return units;
}

struct Obu {
  std::vector<uint8_t> head;  // without a size
  ByteView content;
  uint8_t type = 0;
};

// The OBUs of a temporal unit in low-overhead form; nothing when it does not parse.
std::optional<std::vector<Obu>> Obus(ByteView stream) {
  std::vector<Obu> obus;
  ByteReader reader(stream);
  while (reader.remaining() > 0) {
    Obu obu;
    const uint8_t head = reader.U8();
    obu.type = head >> 3 & 0x0F;
    obu.head = {static_cast<uint8_t>(head & ~0x02)};
    if (head & 0x04) obu.head.push_back(reader.U8());
    size_t size = reader.remaining();
    if (head & 0x02) {
      size = 0;
      for (int i = 0; i < 8; ++i) {
        const uint8_t byte = reader.U8();
        size |= static_cast<size_t>(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) break;
      }
    }
    obu.content = reader.Bytes(size);
    if (!reader.ok()) return std::nullopt;
    if (obu.type != 2) obus.push_back(std::move(obu));  // temporal delimiters are not sent: section 5
  }
  return obus;
}

}  // namespace

std::vector<size_t> EqualParts(size_t size, size_t limit) {
  if (size == 0 || limit == 0) return {};
  const size_t count = (size + limit - 1) / limit;
  std::vector<size_t> parts(count, size / count);
  for (size_t i = 0; i < size % count; ++i) ++parts[i];
  return parts;
}

void Packetizer::NextPicture(const FrameToSend& frame) {
  if (begun_) picture_id_ = (picture_id_ + 1) & 0x7FFF;
  begun_ = true;
  if (frame.temporal_id == 0) ++tl0_picture_index_;
}

const std::vector<PacketPayload>& Packetizer::Cut(const FrameToSend& frame) {
  payloads_.clear();
  NextPicture(frame);
  switch (config_.codec) {
    case Codec::kOpus:
      payloads_.push_back({{}, frame.bitstream, false});
      return payloads_;
    case Codec::kVp8:
      CutVp8(frame);
      break;
    case Codec::kVp9:
      CutVp9(frame);
      break;
    case Codec::kH264:
      CutH264(frame);
      break;
    case Codec::kAv1:
      CutAv1(frame);
      break;
  }
  if (!payloads_.empty()) payloads_.back().marker = true;
  return payloads_;
}

void Packetizer::CutVp8(const FrameToSend& frame) {
  // RFC 7741 section 4.2: X R N S R PID | I L T K | M picture id | TL0PICIDX | TID Y KEYIDX
  const bool layered = frame.temporal_layers > 1;
  std::vector<uint8_t> descriptor = {static_cast<uint8_t>(0x80 | (frame.non_reference ? 0x20 : 0)),
                                     static_cast<uint8_t>(layered ? 0xE0 : 0x80),
                                     static_cast<uint8_t>(0x80 | picture_id_ >> 8),
                                     static_cast<uint8_t>(picture_id_)};
  if (layered) {
    descriptor.push_back(tl0_picture_index_);
    descriptor.push_back(static_cast<uint8_t>(frame.temporal_id << 6 | (frame.layer_sync ? 0x20 : 0)));
  }
  ByteReader reader(frame.bitstream);
  for (const size_t size : EqualParts(frame.bitstream.size(), config_.max_payload - descriptor.size())) {
    payloads_.push_back({descriptor, reader.Bytes(size), false});
    if (payloads_.size() == 1) payloads_[0].prefix[0] |= 0x10;  // S, partition 0
  }
}

void Packetizer::CutVp9(const FrameToSend& frame) {
  // RFC 9628 section 4.2: I P L F B E V Z | M picture id
  const std::vector<uint8_t> descriptor = {static_cast<uint8_t>(0x80 | (frame.keyframe ? 0 : 0x40)),
                                           static_cast<uint8_t>(0x80 | picture_id_ >> 8),
                                           static_cast<uint8_t>(picture_id_)};
  ByteReader reader(frame.bitstream);
  for (const size_t size : EqualParts(frame.bitstream.size(), config_.max_payload - descriptor.size())) {
    payloads_.push_back({descriptor, reader.Bytes(size), false});
  }
  if (payloads_.empty()) return;
  payloads_.front().prefix[0] |= 0x08;
  payloads_.back().prefix[0] |= 0x04;
}

void Packetizer::CutH264(const FrameToSend& frame) {
  for (const ByteView unit : NalUnits(frame.bitstream)) {
    if (unit.size() <= config_.max_payload) {
      payloads_.push_back({{}, unit, false});
      continue;
    }
    // RFC 6184 section 5.8: F NRI 28 | S E R type
    ByteReader reader(unit.subspan(1));
    const auto parts = EqualParts(unit.size() - 1, config_.max_payload - 2);
    for (size_t i = 0; i < parts.size(); ++i) {
      const uint8_t edge = i == 0 ? 0x80 : i + 1 == parts.size() ? 0x40 : 0;
      payloads_.push_back(
          {{static_cast<uint8_t>((unit[0] & 0xE0) | kFuA), static_cast<uint8_t>(edge | (unit[0] & 0x1F))},
           reader.Bytes(parts[i]),
           false});
    }
  }
}

void Packetizer::CutAv1(const FrameToSend& frame) {
  const auto obus = Obus(frame.bitstream);
  if (!obus) return;
  bool first = true;
  for (const Obu& obu : *obus) {
    // One element a packet (W = 1) needs no length. Z: continues an element, Y: continues in the next packet.
    ByteReader reader(obu.content);
    auto parts = EqualParts(obu.content.size(), config_.max_payload - 1 - obu.head.size());
    if (parts.empty()) parts = {0};
    for (size_t i = 0; i < parts.size(); ++i) {
      uint8_t aggregation = 0x10;
      if (i > 0) aggregation |= 0x80;
      if (i + 1 < parts.size()) aggregation |= 0x40;
      if (first && frame.keyframe) aggregation |= 0x08;  // N
      first = false;
      PacketPayload payload{{aggregation}, reader.Bytes(parts[i]), false};
      if (i == 0) payload.prefix.insert(payload.prefix.end(), obu.head.begin(), obu.head.end());
      payloads_.push_back(std::move(payload));
    }
  }
}

}  // namespace nexus
