#include "engine/client/send_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/rtp/rtx.h"

namespace nexus {
namespace {

constexpr size_t kMaxPayload = 1'400;
constexpr size_t kMaxPadding = 224;  // one length byte counts 255; the rest of a probe is more packets

}  // namespace

SendStream::SendStream(SendStreamConfig config, const RtpExtensionIds& ids, ClientTransport& transport,
                       SendPath& path)
    : config_(std::move(config)),
      ids_(ids),
      transport_(transport),
      path_(path),
      // In the second cycle, as Unwrapper counts: 0 stays free for "older than the first".
      sequence_(int64_t{65'536} + config_.first_sequence),
      rtx_sequence_(int64_t{65'536} + config_.first_rtx_sequence) {
  if (!config_.rtx_ssrc || !config_.rtx_payload_type) return;
  history_.emplace(PacketRingConfig{config_.history_packets, config_.history_age});
  resent_.resize(history_->capacity());
}

ClientRtpHeader SendStream::Header(const SendPacket& packet, Timestamp now) const {
  ClientRtpHeader header;
  header.marker = packet.marker;
  header.payload_type = config_.payload_type;
  header.sequence_number = static_cast<uint16_t>(sequence_);
  header.timestamp = config_.first_timestamp + packet.timestamp;
  header.ssrc = config_.ssrc;
  header.ids = ids_;
  header.abs_send_time = AbsSendTimeAt(now);
  header.transport_sequence_number = static_cast<uint16_t>(path_.next_sequence);
  header.audio_level = packet.audio_level;
  header.dependency_descriptor = packet.dependency_descriptor;
  if (!identified_) {
    header.mid = config_.mid;
    header.rid = config_.rid;
  }
  return header;
}

void SendStream::CountLeft(size_t size, Timestamp now) {
  // Only a packet that is sent takes a number: a missing number would count as loss.
  path_.bandwidth.OnPacketSent(path_.next_sequence, size, now);
  if (ids_.has(RtpExtension::kTransportSequenceNumber)) ++path_.next_sequence;
}

bool SendStream::Send(const SendPacket& packet, Timestamp now) {
  if (!active_) return false;
  if (packet.prefix.size() + packet.payload.size() > kMaxPayload) {
    ++counters_.too_large;
    return false;
  }
  std::array<uint8_t, kMaxClientRtpHeaderSize> scratch;
  const size_t header_size = WriteClientRtpHeader(scratch, Header(packet, now));
  if (header_size == 0) {
    ++counters_.too_large;
    return false;
  }
  const size_t left = transport_.SendRtp(ByteView(scratch).first(header_size), packet.prefix, packet.payload,
                                         static_cast<uint64_t>(sequence_ - 65'536));
  if (left == 0) return false;
  CountLeft(left, now);
  if (history_) {
    std::array<uint8_t, kMaxPayload> whole;
    ByteWriter writer(whole);
    writer.Bytes(packet.prefix);
    writer.Bytes(packet.payload);
    SourcePacket stored;
    stored.sequence_number = sequence_;
    stored.timestamp = packet.timestamp;
    stored.arrival = now;
    stored.marker = packet.marker;
    stored.payload = writer.written();
    stored.dependency_descriptor = packet.dependency_descriptor;
    const SourcePacket* place = nullptr;
    history_->Insert(stored, place);
  }
  ++sequence_;
  ++counters_.packets;
  counters_.bytes += packet.prefix.size() + packet.payload.size();
  last_timestamp_ = config_.first_timestamp + packet.timestamp;
  last_sent_ = now;
  return true;
}

void SendStream::OnNack(const Nack& nack, Duration rtt, Timestamp now) {
  nack.ForEach([&](uint16_t sequence) {
    ++counters_.nacked;
    Retransmit(sequence, rtt, now);
  });
}

void SendStream::Retransmit(uint16_t wire_sequence, Duration rtt, Timestamp now) {
  if (!history_) return;
  const int64_t behind = static_cast<uint16_t>(static_cast<uint16_t>(sequence_) - wire_sequence);
  const int64_t sequence = sequence_ - behind;
  history_->Expire(now);
  const SourcePacket* packet = history_->Find(sequence);
  if (packet == nullptr) {
    ++counters_.retransmit_missing;
    return;
  }
  Resent& resent = resent_[static_cast<size_t>(sequence) % resent_.size()];
  if (resent.sequence != sequence) resent = {sequence, Timestamp::min(), 0};
  // A packet that is still in flight need not be sent again (RFC 4585 section 6.2.1).
  const bool too_soon = resent.times > 0 && now < resent.at + rtt;
  if (too_soon || resent.times >= config_.max_retransmissions) {
    ++counters_.retransmit_suppressed;
    return;
  }
  SendPacket content;
  content.timestamp = static_cast<uint32_t>(packet->timestamp);
  content.marker = packet->marker;
  content.dependency_descriptor = packet->dependency_descriptor;
  ClientRtpHeader header = Header(content, now);
  header.payload_type = *config_.rtx_payload_type;
  header.ssrc = *config_.rtx_ssrc;
  header.sequence_number = static_cast<uint16_t>(rtx_sequence_);
  std::swap(header.rid, header.repaired_rid);  // RFC 8852 section 3: the RTX stream names what it repairs
  std::array<uint8_t, kMaxClientRtpHeaderSize> scratch;
  const size_t header_size = WriteClientRtpHeader(scratch, header);
  std::array<uint8_t, kRtxPrefixSize> prefix;
  WriteRtxPrefix(prefix, wire_sequence);
  const size_t left = transport_.SendRtp(ByteView(scratch).first(header_size), prefix, packet->payload,
                                         static_cast<uint64_t>(rtx_sequence_ - 65'536));
  if (left == 0) return;
  CountLeft(left, now);
  ++rtx_sequence_;
  resent.at = now;
  ++resent.times;
  ++counters_.retransmitted;
}

bool SendStream::SendPadding(size_t size, Timestamp now) {
  if (!history_ || size == 0) return false;
  SendPacket nothing;
  nothing.timestamp = last_timestamp_.value_or(config_.first_timestamp) - config_.first_timestamp;
  ClientRtpHeader header = Header(nothing, now);
  header.padding = true;
  header.payload_type = *config_.rtx_payload_type;
  header.ssrc = *config_.rtx_ssrc;
  header.sequence_number = static_cast<uint16_t>(rtx_sequence_);
  std::swap(header.rid, header.repaired_rid);
  std::array<uint8_t, kMaxClientRtpHeaderSize> scratch;
  const size_t header_size = WriteClientRtpHeader(scratch, header);
  std::array<uint8_t, kMaxPadding> padding{};
  const size_t count = std::min(size, kMaxPadding);
  padding[count - 1] = static_cast<uint8_t>(count);  // RFC 3550 section 5.1
  const size_t left =
      transport_.SendRtp(ByteView(scratch).first(header_size), {}, ByteView(padding).first(count),
                         static_cast<uint64_t>(rtx_sequence_ - 65'536));
  if (left == 0) return false;
  CountLeft(left, now);
  ++rtx_sequence_;
  return true;
}

void SendStream::OnPictureLoss() {
  ++counters_.keyframe_requests;
  keyframe_wanted_ = true;
}

void SendStream::OnFullIntra(uint8_t sequence) {
  if (last_fir_ == sequence) return;
  last_fir_ = sequence;
  OnPictureLoss();
}

void SendStream::OnReportBlock(const ReportBlock& block, std::optional<Duration>) {
  fraction_lost_ = block.fraction_lost;
  identified_ = true;
}

bool SendStream::TakeKeyframeRequest() { return std::exchange(keyframe_wanted_, false); }

void SendStream::SetActive(bool active) {
  if (active && !active_) keyframe_wanted_ = true;  // a layer resumes with a keyframe
  active_ = active;
}

std::optional<SenderReportFields> SendStream::MakeSenderReport(NtpTime ntp, Timestamp now) const {
  if (!last_timestamp_) return std::nullopt;
  SenderReportFields report;
  report.sender = config_.ssrc;
  report.ntp = ntp;
  // RFC 3550 section 6.4.1: the same instant on the media clock, whenever a packet was sent last.
  const int64_t ticks = (now - last_sent_).count() * config_.clock_rate / 1'000'000;
  report.rtp_timestamp = *last_timestamp_ + static_cast<uint32_t>(ticks);
  report.packet_count = static_cast<uint32_t>(counters_.packets);
  report.octet_count = static_cast<uint32_t>(counters_.bytes);
  return report;
}

}  // namespace nexus
