// RTCP of a client in both directions: handles the peer's feedback about sent streams, and writes feedback
// about received ones.
#include <algorithm>
#include <array>

#include "engine/base/overloaded.h"
#include "engine/client/client.h"
#include "engine/rtcp/rtcp_reader.h"
#include "engine/rtcp/rtcp_writer.h"

namespace nexus {
namespace {

constexpr size_t kNacksAtOnce = 256;     // of one stream
constexpr size_t kBlocksPerReport = 31;  // RFC 3550 section 6.4.1: a 5-bit count
constexpr int kTwccPacketsAtOnce = 8;

}  // namespace

void Client::HandleRtcp(ByteView packet, Timestamp now) {
  RtcpReader reader(packet);
  while (const auto item = reader.Next()) HandleItem(*item, now);
  if (reader.malformed()) ++counters_.rtcp_malformed;
}

void Client::HandleItem(const RtcpItem& item, Timestamp now) {
  std::visit(Overloaded{
                 [&](const SenderReport& report) {
                   if (ReceiveStream* stream = FindReceiveStream(report.sender))
                     stream->OnSenderReport(report, now);
                   HandleReportBlocks(report.blocks, now);
                 },
                 [&](const ReceiverReport& report) { HandleReportBlocks(report.blocks, now); },
                 [&](const Nack& nack) {
                   if (SendStream* stream = FindSendStream(nack.media)) stream->OnNack(nack, rtt(), now);
                 },
                 [&](const PictureLoss& loss) {
                   SendStream* stream = FindSendStream(loss.media);
                   if (stream == nullptr) return;
                   stream->OnPictureLoss();
                   NoteKeyframeRequest(*stream);
                 },
                 [&](const FullIntra& request) {
                   for (size_t i = 0; i < request.size(); ++i) {
                     SendStream* stream = FindSendStream(request.target(i));
                     if (stream == nullptr) continue;
                     stream->OnFullIntra(request.sequence(i));
                     NoteKeyframeRequest(*stream);
                   }
                 },
                 [&](const TwccFeedbackView& feedback) {
                   ++counters_.twcc_received;
                   bandwidth_->OnFeedback(feedback, now);
                 },
                 [&](const Remb& remb) { bandwidth_->OnRemb(remb.bitrate_bps, now); },
                 [](const auto&) {},  // SDES, BYE, and items that a client does not need
             },
             item);
}

void Client::NoteKeyframeRequest(SendStream& stream) {
  if (stream.keyframe_wanted()) Push(KeyframeRequested{stream.config().ssrc});
}

void Client::HandleReportBlocks(const ReportBlocks& blocks, Timestamp now) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const ReportBlock block = blocks[i];
    SendStream* stream = FindSendStream(block.source);
    if (stream == nullptr) continue;
    const auto rtt = RoundTripTime(block, NtpFromTimestamp(now));
    if (rtt) rtt_ = *rtt;
    stream->OnReportBlock(block, rtt);
    bandwidth_->OnReport(block.fraction_lost, rtt, now);
  }
}

void Client::Flush(RtcpCompoundWriter& writer) {
  transport_.SendRtcp(writer.bytes());
  writer.Clear();
}

void Client::WriteNacks(ReceiveStream& stream, RtcpCompoundWriter& writer, Timestamp now) {
  std::array<uint16_t, kNacksAtOnce> missing;
  const size_t count = stream.nacks().Collect(now, rtt(), missing);
  counters_.nacks_sent += count;
  std::span<const uint16_t> left = std::span(missing).first(count);
  while (!left.empty()) {
    const bool fresh = writer.empty();
    const size_t written = writer.AddNack(local_ssrc_, stream.config().ssrc, left);
    left = left.subspan(written);
    if (left.empty() || (written == 0 && fresh)) return;
    Flush(writer);
  }
}

// RFC 5506: reduced size, as every browser sends it; an SFU that answered without it is asked by SDP not to.
void Client::SendFeedback(Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  for (const auto& stream : receive_streams_) {
    if (stream->config().kind != MediaKind::kVideo) continue;
    WriteNacks(*stream, writer, now);
    if (!stream->keyframes().Poll(now)) continue;
    ++counters_.plis_sent;
    if (writer.AddPli(local_ssrc_, stream->config().ssrc)) continue;
    Flush(writer);
    writer.AddPli(local_ssrc_, stream->config().ssrc);
  }
  if (twcc_.due(now)) {
    std::array<uint8_t, kRtcpMtu - 100> feedback;
    for (int i = 0; i < kTwccPacketsAtOnce; ++i) {
      const size_t size = twcc_.WriteFeedback(feedback, local_ssrc_, last_media_ssrc_, now);
      if (size == 0) break;
      ++counters_.twcc_sent;
      const ByteView packet = ByteView(feedback).first(size);
      if (writer.AddPacket(packet)) continue;
      Flush(writer);
      writer.AddPacket(packet);
    }
  }
  if (!writer.empty()) Flush(writer);
}

void Client::SendReports(Timestamp now) {
  next_report_ = now + config_.rtcp_interval;
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  for (const SendStream& stream : send_streams_) {
    const auto report = stream.MakeSenderReport(NtpFromTimestamp(now), now);
    if (!report) continue;
    if (!writer.AddSenderReport(*report) || !writer.AddCname(report->sender, config_.cname)) {
      Flush(writer);
      writer.AddSenderReport(*report);
      writer.AddCname(report->sender, config_.cname);
    }
  }
  std::array<ReportBlock, kBlocksPerReport> blocks;
  size_t count = 0;
  const auto write = [&] {
    const auto part = std::span<const ReportBlock>(blocks).first(count);
    count = 0;
    if (writer.AddReceiverReport(local_ssrc_, part)) return;
    Flush(writer);
    writer.AddReceiverReport(local_ssrc_, part);
  };
  for (const auto& stream : receive_streams_) {
    const auto block = stream->stats().MakeReport(now);
    if (!block) continue;
    blocks[count++] = *block;
    if (count == blocks.size()) write();
  }
  if (count > 0 || writer.empty()) write();
  if (!writer.AddCname(local_ssrc_, config_.cname)) {
    Flush(writer);
    writer.AddReceiverReport(local_ssrc_, {});
    writer.AddCname(local_ssrc_, config_.cname);
  }
  Flush(writer);
}

}  // namespace nexus
