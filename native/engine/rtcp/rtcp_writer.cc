#include "engine/rtcp/rtcp_writer.h"

#include "engine/rtcp/rtcp_reader.h"

namespace nexus {
namespace {

constexpr size_t kMaxBlocks = 31;  // five bits of count

void WriteHead(ByteWriter& writer, size_t count, RtcpType type, size_t words_after_first) {
  writer.U8(static_cast<uint8_t>(0x80 | count));
  writer.U8(static_cast<uint8_t>(type));
  writer.U16(static_cast<uint16_t>(words_after_first));
}

void WriteBlock(ByteWriter& writer, const ReportBlock& block) {
  writer.U32(block.source.value);
  writer.U8(block.fraction_lost);
  // RFC 3550 §6.4.1: 24 bits, signed; clamped instead of wrapping.
  writer.U24(static_cast<uint32_t>(std::clamp(block.cumulative_lost, -0x800000, 0x7FFFFF)) & 0xFFFFFF);
  writer.U32(block.extended_highest_sequence);
  writer.U32(block.jitter);
  writer.U32(block.last_sr);
  writer.U32(block.delay_since_last_sr);
}

}  // namespace

bool RtcpCompoundWriter::Commit(ByteWriter& writer) {
  if (!writer.ok()) return false;
  size_ += writer.size();
  return true;
}

bool RtcpCompoundWriter::AddSenderReport(const SenderReportFields& fields,
                                         std::span<const ReportBlock> blocks) {
  if (blocks.size() > kMaxBlocks) return false;
  ByteWriter writer = Begin();
  WriteHead(writer, blocks.size(), RtcpType::kSenderReport, 6 + 6 * blocks.size());
  writer.U32(fields.sender.value);
  writer.U64(fields.ntp.value);
  writer.U32(fields.rtp_timestamp);
  writer.U32(fields.packet_count);
  writer.U32(fields.octet_count);
  for (const ReportBlock& block : blocks) WriteBlock(writer, block);
  return Commit(writer);
}

bool RtcpCompoundWriter::AddReceiverReport(Ssrc sender, std::span<const ReportBlock> blocks) {
  if (blocks.size() > kMaxBlocks) return false;
  ByteWriter writer = Begin();
  WriteHead(writer, blocks.size(), RtcpType::kReceiverReport, 1 + 6 * blocks.size());
  writer.U32(sender.value);
  for (const ReportBlock& block : blocks) WriteBlock(writer, block);
  return Commit(writer);
}

bool RtcpCompoundWriter::AddCname(Ssrc source, std::string_view cname) {
  if (cname.size() > 255) return false;
  // SSRC, item head, text, at least one zero byte (RFC 3550 §6.5)
  const size_t chunk = (4 + 2 + cname.size() + 1 + 3) & ~size_t{3};
  ByteWriter writer = Begin();
  WriteHead(writer, 1, RtcpType::kSdes, chunk / 4);
  writer.U32(source.value);
  writer.U8(1);
  writer.U8(static_cast<uint8_t>(cname.size()));
  writer.Bytes({reinterpret_cast<const uint8_t*>(cname.data()), cname.size()});
  writer.Zeros(chunk - 6 - cname.size());
  return Commit(writer);
}

bool RtcpCompoundWriter::AddBye(Ssrc source) {
  ByteWriter writer = Begin();
  WriteHead(writer, 1, RtcpType::kBye, 1);
  writer.U32(source.value);
  return Commit(writer);
}

size_t RtcpCompoundWriter::AddNack(Ssrc sender, Ssrc media, std::span<const uint16_t> sequence_numbers) {
  ByteWriter writer = Begin();
  WriteHead(writer, 1, RtcpType::kTransportFeedback, 0);
  writer.U32(sender.value);
  writer.U32(media.value);
  size_t told = 0;
  while (told < sequence_numbers.size() && writer.ok() && writer.remaining() >= 4) {
    const uint16_t pid = sequence_numbers[told++];
    uint16_t blp = 0;
    while (told < sequence_numbers.size()) {
      const uint16_t distance =
          static_cast<uint16_t>(sequence_numbers[told] - pid);  // modulo 2^16: across the wrap
      if (distance == 0 || distance > 16) break;
      blp = static_cast<uint16_t>(blp | 1u << (distance - 1));
      ++told;
    }
    writer.U16(pid);
    writer.U16(blp);
  }
  if (!writer.ok() || told == 0) return 0;
  writer.PatchU16(2, static_cast<uint16_t>(writer.size() / 4 - 1));
  return Commit(writer) ? told : 0;
}

bool RtcpCompoundWriter::AddPli(Ssrc sender, Ssrc media) {
  ByteWriter writer = Begin();
  WriteHead(writer, 1, RtcpType::kPayloadFeedback, 2);
  writer.U32(sender.value);
  writer.U32(media.value);
  return Commit(writer);
}

bool RtcpCompoundWriter::AddFir(Ssrc sender, Ssrc media, uint8_t sequence) {
  ByteWriter writer = Begin();
  WriteHead(writer, 4, RtcpType::kPayloadFeedback, 4);
  writer.U32(sender.value);
  writer.U32(0);  // RFC 5104 §4.3.1.2: the common field is unused
  writer.U32(media.value);
  writer.U8(sequence);
  writer.U24(0);
  return Commit(writer);
}

bool RtcpCompoundWriter::AddPacket(ByteView packet) {
  ByteWriter writer = Begin();
  writer.Bytes(packet);
  return Commit(writer);
}

}  // namespace nexus
