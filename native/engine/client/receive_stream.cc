#include "engine/client/receive_stream.h"

#include "engine/rtp/rtx.h"

namespace nexus {

ReceiveStream::ReceiveStream(ReceiveStreamConfig config)
    : config_(config),
      nacks_(config.nack),
      stats_(config.ssrc, config.clock_rate),
      keyframes_(config.keyframes) {}

bool ReceiveStream::SeenBefore(int64_t sequence) {
  int64_t& place = seen_[static_cast<size_t>(sequence) % seen_.size()];
  // A packet below the window is too old to be of use, so it counts as a duplicate.
  if (place >= sequence) return true;
  place = sequence;
  return false;
}

std::optional<ReceivedMedia> ReceiveStream::OnPacket(const RtpPacketView& packet, bool opened,
                                                     const RtpExtensionIds& ids, Timestamp now) {
  return Take(packet, opened, false, ids, now);
}

std::optional<ReceivedMedia> ReceiveStream::OnRtx(const RtpPacketView& packet, PayloadType payload_type,
                                                  const RtpExtensionIds& ids, Timestamp now) {
  ++counters_.rtx_packets;
  const size_t size = RestoreFromRtx(packet, config_.ssrc, payload_type, restored_);
  const auto original = size == 0 ? std::nullopt : ParseRtp(ByteView(restored_).first(size));
  if (!original) {
    ++counters_.rtx_unusable;
    return std::nullopt;
  }
  return Take(*original, true, true, ids, now);
}

std::optional<ReceivedMedia> ReceiveStream::Take(const RtpPacketView& packet, bool opened, bool repaired,
                                                 const RtpExtensionIds& ids, Timestamp now) {
  const RtpHeader& header = packet.header();
  // A repaired packet is old, so it must not move the unwrapper.
  const int64_t sequence =
      repaired ? sequence_.Peek(header.sequence_number) : sequence_.Unwrap(header.sequence_number);
  if (SeenBefore(sequence)) {
    ++counters_.duplicates;
    return std::nullopt;
  }
  nacks_.OnPacket(sequence, now);
  stats_.OnPacket(sequence, header.timestamp, now, packet.packet().size(), repaired);
  if (config_.kind == MediaKind::kVideo && nacks_.counters().given_up > given_up_) {
    // A loss that cannot be repaired needs a keyframe (RFC 4585 section 6.3.1).
    given_up_ = nacks_.counters().given_up;
    keyframes_.Request();
  }
  if (opened && packet.payload().empty()) ++counters_.padding_only;
  ReceivedMedia media;
  media.sequence_number = sequence;
  media.timestamp = header.timestamp;
  media.marker = header.marker;
  media.repaired = repaired;
  media.opened = opened;
  media.payload_type = header.payload_type;
  media.source = header.csrc_count > 0 ? packet.csrc(0) : 0;
  if (opened) media.payload = packet.payload();
  if (const auto value = packet.FindExtension(ids.id(RtpExtension::kDependencyDescriptor))) {
    media.dependency_descriptor = *value;
  }
  if (const auto value = packet.FindExtension(ids.id(RtpExtension::kAudioLevel))) {
    media.audio_level = ParseAudioLevel(*value);
  }
  if (!repaired && media.source != source_) {
    if (source_ != 0) ++counters_.source_changes;
    source_ = media.source;
  }
  return media;
}

void ReceiveStream::OnSenderReport(const SenderReport& report, Timestamp now) {
  stats_.OnSenderReport(report.ntp, now);
  sr_timestamp_ = report.rtp_timestamp;
  sr_ntp_us_ = report.ntp.micros();
}

std::optional<int64_t> ReceiveStream::NtpMicrosOf(uint32_t timestamp) const {
  if (!sr_timestamp_) return std::nullopt;
  const auto ticks = static_cast<int32_t>(timestamp - *sr_timestamp_);
  return sr_ntp_us_ + int64_t{ticks} * 1'000'000 / config_.clock_rate;
}

}  // namespace nexus
