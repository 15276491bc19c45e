// The ids of header extensions. Each peer negotiates its own (RFC 8285 §6), so a publisher's ids mean nothing
// to a subscriber.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/time.h"

namespace nexus {

enum class RtpExtension : uint8_t {
  kAudioLevel,               // RFC 6464
  kAbsSendTime,              // libwebrtc abs-send-time
  kTransportSequenceNumber,  // draft-holmer-rmcat-transport-wide-cc-extensions-01
  kMid,                      // RFC 9143
  kRid,                      // RFC 8852
  kRepairedRid,              // RFC 8852
  kDependencyDescriptor,     // AV1 RTP specification, appendix A
  kVideoOrientation,         // 3GPP TS 26.114
  kPlayoutDelay,             // ignored and never forwarded: it would control the subscriber's buffer
  kAbsCaptureTime,           // libwebrtc abs-capture-time
};
inline constexpr size_t kRtpExtensionCount = 10;

std::string_view RtpExtensionUri(RtpExtension extension);
std::optional<RtpExtension> RtpExtensionFromUri(std::string_view uri);

// 0 means not negotiated.
class RtpExtensionIds {
 public:
  uint8_t id(RtpExtension extension) const { return ids_[static_cast<size_t>(extension)]; }
  bool has(RtpExtension extension) const { return id(extension) != 0; }
  void Set(RtpExtension extension, uint8_t id) { ids_[static_cast<size_t>(extension)] = id; }
  friend bool operator==(const RtpExtensionIds&, const RtpExtensionIds&) = default;

 private:
  std::array<uint8_t, kRtpExtensionCount> ids_{};
};

// RFC 6464 §3: level is in -dBov, 0 loudest, 127 silence.
struct AudioLevel {
  uint8_t level = 127;
  bool voice = false;
  friend bool operator==(const AudioLevel&, const AudioLevel&) = default;
};
std::optional<AudioLevel> ParseAudioLevel(ByteView value);
std::optional<uint16_t> ParseTransportSequenceNumber(ByteView value);
std::optional<uint32_t> ParseAbsSendTime(ByteView value);
// 24 bits, 6.18 fixed point seconds.
uint32_t AbsSendTimeAt(Timestamp now);
// Text of MID, RID and repaired RID; empty if it is not valid.
std::string_view ParseExtensionText(ByteView value);

}  // namespace nexus
