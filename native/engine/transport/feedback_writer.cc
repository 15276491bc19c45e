#include "engine/transport/feedback_writer.h"

#include <algorithm>
#include <array>
#include <vector>

namespace nexus {
namespace {

constexpr size_t kNacksAtOnce = 256;     // maximum of one layer
constexpr size_t kBlocksPerReport = 31;  // RFC 3550 section 6.4.1: a 5-bit count
constexpr int kTwccPacketsAtOnce = 8;    // maximum of feedback packets in one call

// A short-term random CNAME (RFC 7022 section 4.2). All slots of a peer share one clock and one name.
std::string RandomCname(std::mt19937_64& random) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string name;
  for (int i = 0; i < 16; ++i) name += kAlphabet[random() % kAlphabet.size()];
  return name;
}

}  // namespace

FeedbackWriter::FeedbackWriter(ShardContext& context, RtpReceiver& receiver, MediaSender& sender,
                               TransportSchedule& schedule, bool reduced_size)
    : context_(context),
      receiver_(receiver),
      sender_(sender),
      schedule_(schedule),
      reduced_size_(reduced_size),
      local_ssrc_{static_cast<uint32_t>(context.random() | 1)},
      cname_(RandomCname(context.random)) {}

// First reports are spread over the interval, so that participants who join together do not report together
// (RFC 3550 section 6.2).
void FeedbackWriter::Start(Timestamp now) {
  const auto interval = static_cast<uint64_t>(context_.config.rtcp_interval.count());
  schedule_.next_report =
      now + Duration(static_cast<int64_t>(interval / 2 + context_.random() % interval / 2));
}

Timestamp FeedbackWriter::next_deadline() const {
  Timestamp next = receiver_.twcc().next_deadline();
  for (const auto& track : receiver_.tracks()) {
    if (track->kind() != MediaKind::kVideo || track->muted()) continue;
    for (const auto& layer : track->layers()) {
      next = std::min(next, layer->nacks().next_deadline(RttTo(*layer)));
      if (layer->ssrc()) next = std::min(next, layer->keyframes().next_deadline());
    }
  }
  return next;
}

Duration FeedbackWriter::RttTo(const PublishedLayer& layer) const {
  return sender_.measured_rtt().value_or(layer.nacks().response_time().value_or(MediaSender::kAssumedRtt));
}

// Without reduced size each compound begins with a report and carries a CNAME (RFC 5506 section 3.4.2).
void FeedbackWriter::BeginCompound(RtcpCompoundWriter& writer) const {
  writer.Clear();
  if (reduced_size_) return;
  writer.AddReceiverReport(local_ssrc_, {});
  writer.AddCname(local_ssrc_, cname_);
}

void FeedbackWriter::Send(RtcpCompoundWriter& writer) {
  if (!writer.empty() && sender_.ready()) sender_.SealRtcp(writer.bytes());
}

void FeedbackWriter::SendFeedback(Timestamp now) {
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  BeginCompound(writer);
  const size_t nothing = writer.bytes().size();
  for (const auto& track : receiver_.tracks()) {
    if (track->kind() != MediaKind::kVideo || track->muted()) continue;
    for (const auto& layer : track->layers()) {
      if (!layer->ssrc()) continue;
      WriteNacks(*layer, writer, now);
      if (!layer->keyframes().Poll(now)) continue;
      if (writer.AddPli(local_ssrc_, *layer->ssrc())) continue;
      Send(writer);
      BeginCompound(writer);
      writer.AddPli(local_ssrc_, *layer->ssrc());
    }
  }
  if (receiver_.twcc().due(now)) WriteTwcc(writer, now);
  if (writer.bytes().size() > nothing) Send(writer);
}

void FeedbackWriter::WriteNacks(PublishedLayer& layer, RtcpCompoundWriter& writer, Timestamp now) {
  std::array<uint16_t, kNacksAtOnce> missing;
  const size_t count = layer.nacks().Collect(now, RttTo(layer), missing);
  std::span<const uint16_t> left = std::span(missing).first(count);
  bool fresh = false;
  while (!left.empty()) {
    const size_t written = writer.AddNack(local_ssrc_, *layer.ssrc(), left);
    left = left.subspan(written);
    if (left.empty() || (written == 0 && fresh)) return;
    Send(writer);
    BeginCompound(writer);
    fresh = true;
  }
}

void FeedbackWriter::WriteTwcc(RtcpCompoundWriter& writer, Timestamp now) {
  std::array<uint8_t, kRtcpMtu - 100> feedback;
  for (int i = 0; i < kTwccPacketsAtOnce; ++i) {
    const size_t size =
        receiver_.twcc().WriteFeedback(feedback, local_ssrc_, receiver_.last_media_ssrc(), now);
    if (size == 0) return;
    const ByteView packet = ByteView(feedback).first(size);
    if (writer.AddPacket(packet)) continue;
    Send(writer);
    BeginCompound(writer);
    writer.AddPacket(packet);
  }
}

void FeedbackWriter::SendReports(const SubscriberSlots& slots, Timestamp now) {
  schedule_.next_report = now + context_.config.rtcp_interval;
  std::array<uint8_t, kRtcpMtu> buffer;
  RtcpCompoundWriter writer(buffer);
  std::vector<ReportBlock> blocks;
  for (const auto& track : receiver_.tracks()) {
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
      Send(writer);
      writer.Clear();
      writer.AddReceiverReport(local_ssrc_, part);
    }
  } while (!left.empty());
  writer.AddCname(local_ssrc_, cname_);
  for (const auto& slot : slots.all()) {
    const auto report = slot->MakeSenderReport(now);
    if (!report) continue;
    constexpr size_t kReportAndCname = 28 + 4 + 4 + 2 + 16 + 4;
    if (writer.bytes().size() + kReportAndCname > kRtcpMtu) {
      Send(writer);
      writer.Clear();
    }
    writer.AddSenderReport(*report);
    writer.AddCname(report->sender, cname_);
  }
  Send(writer);
}

}  // namespace nexus
