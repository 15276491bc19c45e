// RTCP to the peer: what its published streams need (NACK, PLI, transport-wide feedback, report blocks) and
// sender reports of its slots.
#include <array>

#include "engine/room/room.h"
#include "engine/transport/transport.h"

namespace nexus {
namespace {

constexpr size_t kNacksAtOnce = 256;     // of one layer
constexpr size_t kBlocksPerReport = 31;  // RFC 3550 section 6.4.1: a 5-bit count
constexpr Duration kReportSoon{20'000};  // several slots that begin together share a report
constexpr int kTwccPacketsAtOnce = 8;    // feedback packets in one go

}  // namespace

void Transport::ReportSoon(Timestamp now) {
  if (next_report_ <= now + kReportSoon) return;
  next_report_ = now + kReportSoon;
  Schedule();
}

// RFC 5506 section 3.4.2: without reduced size each compound begins with a report and carries a CNAME.
void Transport::BeginCompound(RtcpCompoundWriter& writer) const {
  writer.Clear();
  if (settings_.reduced_size_rtcp) return;
  writer.AddReceiverReport(local_ssrc_, {});
  writer.AddCname(local_ssrc_, cname_);
}

void Transport::SendRtcp(RtcpCompoundWriter& writer) {
  if (writer.empty() || !ready()) return;
  const ByteView plain = writer.bytes();
  const MutableByteView out = context_.out.Reserve(plain.size() + kSrtpMaxRtcpOverhead);
  if (out.empty()) return context_.drops.Count(DropReason::kTransmitOverflow);
  const size_t size = sealer_->SealRtcp(plain, out);
  if (size == 0) return context_.drops.Count(DropReason::kSealFailed);
  context_.out.Commit(cursor_, *ice_.selected(), size);
  ++packets_out_;
  bytes_out_ += size;
}

void Transport::SendFeedback(Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  BeginCompound(writer);
  const size_t nothing = writer.bytes().size();
  for (const auto& track : tracks_) {
    if (track->kind() != MediaKind::kVideo || track->muted()) continue;
    for (const auto& layer : track->layers()) {
      if (!layer->ssrc) continue;
      WriteNacks(*layer, writer, now);
      if (!layer->keyframes().Poll(now)) continue;
      if (writer.AddPli(local_ssrc_, *layer->ssrc)) continue;
      SendRtcp(writer);
      BeginCompound(writer);
      writer.AddPli(local_ssrc_, *layer->ssrc);
    }
  }
  if (twcc_.due(now)) WriteTwcc(writer, now);
  if (writer.bytes().size() > nothing) SendRtcp(writer);
}

void Transport::WriteNacks(PublishedLayer& layer, RtcpCompoundWriter& writer, Timestamp now) {
  std::array<uint16_t, kNacksAtOnce> missing;
  const size_t count = layer.nacks().Collect(now, RttTo(layer), missing);
  std::span<const uint16_t> left = std::span(missing).first(count);
  bool fresh = false;
  while (!left.empty()) {
    const size_t written = writer.AddNack(local_ssrc_, *layer.ssrc, left);
    left = left.subspan(written);
    if (left.empty() || (written == 0 && fresh)) return;
    SendRtcp(writer);
    BeginCompound(writer);
    fresh = true;
  }
}

void Transport::WriteTwcc(RtcpCompoundWriter& writer, Timestamp now) {
  std::array<uint8_t, kRtcpMtu - 100> feedback;
  for (int i = 0; i < kTwccPacketsAtOnce; ++i) {
    const size_t size = twcc_.WriteFeedback(feedback, local_ssrc_, last_media_ssrc_, now);
    if (size == 0) return;
    const ByteView packet = ByteView(feedback).first(size);
    if (writer.AddPacket(packet)) continue;
    SendRtcp(writer);
    BeginCompound(writer);
    writer.AddPacket(packet);
  }
}

void Transport::SendReports(Timestamp now) {
  next_report_ = now + context_.config.rtcp_interval;
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  std::vector<ReportBlock> blocks;
  for (const auto& track : tracks_) {
    for (const auto& layer : track->layers()) {
      if (layer->stats() == nullptr) continue;
      if (const auto block = layer->stats()->MakeReport(now)) blocks.push_back(*block);
    }
  }
  std::span<const ReportBlock> left(blocks);
  do {
    const auto part = left.first(std::min(left.size(), kBlocksPerReport));
    left = left.subspan(part.size());
    if (!writer.AddReceiverReport(local_ssrc_, part)) {
      SendRtcp(writer);
      writer.Clear();
      writer.AddReceiverReport(local_ssrc_, part);
    }
  } while (!left.empty());
  writer.AddCname(local_ssrc_, cname_);
  for (const auto& slot : slots_) {
    const auto report = slot->MakeSenderReport(now);
    if (!report) continue;
    constexpr size_t kReportAndCname = 28 + 4 + 4 + 2 + 16 + 4;
    if (writer.bytes().size() + kReportAndCname > kRtcpMtu) {
      SendRtcp(writer);
      writer.Clear();
    }
    writer.AddSenderReport(*report);
    writer.AddCname(report->sender, cname_);
  }
  SendRtcp(writer);
}

}  // namespace nexus
