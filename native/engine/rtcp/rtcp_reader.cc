#include "engine/rtcp/rtcp_reader.h"

#include <algorithm>

namespace nexus {
namespace {

// RFC 4585 §6.1, RFC 5104 §4, TWCC draft §3.1
constexpr uint8_t kFormatNack = 1;
constexpr uint8_t kFormatTwcc = 15;
constexpr uint8_t kFormatPli = 1;
constexpr uint8_t kFormatFir = 4;
constexpr uint8_t kFormatApplication = 15;
constexpr uint32_t kRembIdentifier = 0x52454D42;  // "REMB"
constexpr uint8_t kSdesCname = 1;

ReportBlocks ReadBlocks(ByteReader& reader, uint8_t count) {
  // A count above the number of blocks is reduced to it; the rest of the compound is still valid.
  const size_t there = reader.remaining() / ReportBlocks::kSize;
  return ReportBlocks(reader.Bytes(std::min<size_t>(count, there) * ReportBlocks::kSize));
}

std::optional<RtcpItem> ReadSenderReport(ByteView body, uint8_t count) {
  ByteReader reader(body);
  SenderReport report;
  report.sender = Ssrc{reader.U32()};
  report.ntp = NtpTime{reader.U64()};
  report.rtp_timestamp = reader.U32();
  report.packet_count = reader.U32();
  report.octet_count = reader.U32();
  report.blocks = ReadBlocks(reader, count);
  if (!reader.ok()) return std::nullopt;
  return report;
}

std::optional<RtcpItem> ReadReceiverReport(ByteView body, uint8_t count) {
  ByteReader reader(body);
  ReceiverReport report;
  report.sender = Ssrc{reader.U32()};
  report.blocks = ReadBlocks(reader, count);
  if (!reader.ok()) return std::nullopt;
  return report;
}

std::optional<RtcpItem> ReadTransportFeedback(ByteView body, uint8_t format) {
  if (format == kFormatTwcc) {
    const auto feedback = TwccFeedbackView::Parse(body);
    if (!feedback) return std::nullopt;
    return *feedback;
  }
  if (format != kFormatNack) return std::nullopt;
  ByteReader reader(body);
  Nack nack;
  nack.sender = Ssrc{reader.U32()};
  nack.media = Ssrc{reader.U32()};
  nack.blocks = reader.Bytes(reader.remaining() & ~size_t{3});
  if (!reader.ok() || nack.blocks.empty()) return std::nullopt;
  return nack;
}

std::optional<RtcpItem> ReadRemb(Ssrc sender, ByteReader& reader) {
  // "REMB" | num SSRC (8) | exponent (6) mantissa (18) | SSRCs
  if (reader.U32() != kRembIdentifier) return std::nullopt;
  reader.Skip(1);
  const uint32_t rate = reader.U24();
  if (!reader.ok()) return std::nullopt;
  const uint64_t mantissa = rate & 0x3FFFF;
  const unsigned exponent = rate >> 18;
  // A rate that does not fit into 64 bits is not an estimate.
  if (mantissa != 0 && exponent > 45) return std::nullopt;
  return Remb{sender, mantissa << exponent};
}

std::optional<RtcpItem> ReadPayloadFeedback(ByteView body, uint8_t format) {
  ByteReader reader(body);
  const Ssrc sender{reader.U32()};
  const Ssrc media{reader.U32()};
  if (!reader.ok()) return std::nullopt;
  switch (format) {
    case kFormatPli:
      return PictureLoss{sender, media};
    case kFormatFir: {
      FullIntra fir{sender, reader.Bytes(reader.remaining() & ~size_t{7})};
      if (fir.items.empty()) return std::nullopt;
      return fir;
    }
    case kFormatApplication:
      return ReadRemb(sender, reader);
    default:
      return std::nullopt;
  }
}

}  // namespace

ReportBlock ReportBlocks::operator[](size_t index) const {
  ByteReader reader(bytes_.subspan(index * kSize, kSize));
  ReportBlock block;
  block.source = Ssrc{reader.U32()};
  block.fraction_lost = reader.U8();
  const uint32_t lost = reader.U24();
  block.cumulative_lost = static_cast<int32_t>(lost << 8) >> 8;  // sign of 24 bits
  block.extended_highest_sequence = reader.U32();
  block.jitter = reader.U32();
  block.last_sr = reader.U32();
  block.delay_since_last_sr = reader.U32();
  return block;
}

Ssrc Goodbye::operator[](size_t index) const { return Ssrc{ByteReader(sources.subspan(4 * index)).U32()}; }
Ssrc FullIntra::target(size_t index) const { return Ssrc{ByteReader(items.subspan(8 * index)).U32()}; }

std::optional<RtcpItem> RtcpReader::Next() {
  while (true) {
    if (auto item = NextSdes()) return item;
    const auto chunk = NextChunk();
    if (!chunk) return std::nullopt;
    if (auto item = Interpret(*chunk)) return item;
    if (chunk->type != static_cast<uint8_t>(RtcpType::kSdes)) ++skipped_;
  }
}

std::optional<RtcpReader::Chunk> RtcpReader::NextChunk() {
  // |V=2|P| count/format | PT | length in words - 1 |      RFC 3550 §6.4.1
  if (rest_.empty()) return std::nullopt;
  ByteReader reader(rest_);
  const uint8_t first = reader.U8();
  const uint8_t type = reader.U8();
  const size_t size = size_t{4} * reader.U16();
  ByteView body = reader.Bytes(size);
  if (!reader.ok() || first >> 6 != 2) {
    malformed_ = true;
    rest_ = {};
    return std::nullopt;
  }
  rest_ = reader.Rest();
  if (first & 0x20) {  // §6.4.1: the last byte is the size of the padding, including itself
    const size_t padding = body.empty() ? 0 : body.back();
    if (padding == 0 || padding > body.size()) {
      malformed_ = true;
      rest_ = {};
      return std::nullopt;
    }
    body = body.first(body.size() - padding);
  }
  return Chunk{type, static_cast<uint8_t>(first & 0x1F), body};
}

std::optional<RtcpItem> RtcpReader::Interpret(const Chunk& chunk) {
  switch (static_cast<RtcpType>(chunk.type)) {
    case RtcpType::kSenderReport:
      return ReadSenderReport(chunk.body, chunk.count);
    case RtcpType::kReceiverReport:
      return ReadReceiverReport(chunk.body, chunk.count);
    case RtcpType::kSdes:
      sdes_ = chunk.body;
      return NextSdes();
    case RtcpType::kBye: {
      const size_t there = std::min<size_t>(chunk.count, chunk.body.size() / 4);
      return Goodbye{chunk.body.first(4 * there)};
    }
    case RtcpType::kTransportFeedback:
      return ReadTransportFeedback(chunk.body, chunk.count);
    case RtcpType::kPayloadFeedback:
      return ReadPayloadFeedback(chunk.body, chunk.count);
    case RtcpType::kApp:
    case RtcpType::kExtendedReport:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<RtcpItem> RtcpReader::NextSdes() {
  // RFC 3550 §6.5: chunks of an SSRC and items; the list ends with a zero byte and is padded to 32 bits.
  while (sdes_.size() >= 5) {
    ByteReader reader(sdes_);
    SdesCname found{Ssrc{reader.U32()}, {}};
    bool any = false;
    while (reader.ok() && reader.remaining() > 0) {
      const uint8_t type = reader.U8();
      if (type == 0) break;
      const ByteView text = reader.Bytes(reader.U8());
      if (type == kSdesCname && reader.ok()) {
        found.cname = {reinterpret_cast<const char*>(text.data()), text.size()};
        any = true;
      }
    }
    const size_t end =
        reader.ok() ? std::min(sdes_.size(), (reader.position() + 3) & ~size_t{3}) : sdes_.size();
    sdes_ = sdes_.subspan(end);
    if (any) return found;
  }
  sdes_ = {};
  return std::nullopt;
}

}  // namespace nexus
