#include "engine/rtp/rtp_extensions.h"

namespace nexus {
namespace {

constexpr std::array<std::string_view, kRtpExtensionCount> kUris = {
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    "urn:3gpp:video-orientation",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
};

}  // namespace

std::string_view RtpExtensionUri(RtpExtension extension) { return kUris[static_cast<size_t>(extension)]; }

std::optional<RtpExtension> RtpExtensionFromUri(std::string_view uri) {
  for (size_t i = 0; i < kUris.size(); ++i) {
    if (kUris[i] == uri) return static_cast<RtpExtension>(i);
  }
  return std::nullopt;
}

std::optional<AudioLevel> ParseAudioLevel(ByteView value) {
  if (value.empty()) return std::nullopt;
  return AudioLevel{static_cast<uint8_t>(value[0] & 0x7F), (value[0] & 0x80) != 0};
}

std::optional<uint16_t> ParseTransportSequenceNumber(ByteView value) {
  ByteReader reader(value);
  const uint16_t sequence = reader.U16();
  if (!reader.ok()) return std::nullopt;
  return sequence;
}

std::optional<uint32_t> ParseAbsSendTime(ByteView value) {
  ByteReader reader(value);
  const uint32_t time = reader.U24();
  if (!reader.ok()) return std::nullopt;
  return time;
}

uint32_t AbsSendTimeAt(Timestamp now) {
  const auto us = static_cast<uint64_t>(now.time_since_epoch().count());
  const uint64_t seconds = us / 1'000'000;
  const uint64_t fraction = ((us % 1'000'000) << 18) / 1'000'000;
  return static_cast<uint32_t>((seconds << 18 | fraction) & 0xFFFFFF);
}

std::string_view ParseExtensionText(ByteView value) {
  // RFC 8852 §3.1 and RFC 5888: identifiers are tokens, so text with unprintable characters is rejected.
  for (const uint8_t c : value) {
    if (c < 0x21 || c > 0x7E) return {};
  }
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

}  // namespace nexus
