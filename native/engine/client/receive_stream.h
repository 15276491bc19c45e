// One stream that a client receives: one SSRC with its RTX stream. Schedules requests for missing packets
// (NACK, PLI), measures for receiver reports (RFC 3550), records the source of the media (the CSRC that the
// SFU writes), and restores packets from RTX. Each packet is returned to the caller; the jitter buffer plays
// it.
#pragma once

#include <array>
#include <optional>

#include "engine/base/unwrap.h"
#include "engine/codec/codec.h"
#include "engine/forward/keyframe_requester.h"
#include "engine/forward/nack_generator.h"
#include "engine/forward/receiver_stats.h"
#include "engine/media/media_kind.h"
#include "engine/rtp/rtp_extensions.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus {

struct ReceiveStreamConfig {
  MediaKind kind = MediaKind::kVideo;
  uint32_t clock_rate = 90'000;
  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
  NackConfig nack;
  KeyframeRequesterConfig keyframes;
};

struct ReceiveStreamCounters {
  uint64_t duplicates = 0;
  uint64_t padding_only = 0;
  uint64_t source_changes = 0;
  uint64_t rtx_packets = 0;
  uint64_t rtx_unusable = 0;  // probes, or a number that restores nothing
};

// A received media packet. The views are valid until the client gets the next datagram.
struct ReceivedMedia {
  int64_t sequence_number = 0;  // unwrapped
  uint32_t timestamp = 0;
  bool marker = false;
  bool repaired = false;  // it came by RTX
  bool opened = false;    // false: authenticity unknown and payload unread (sampling, see ClientConfig)
  PayloadType payload_type;
  uint32_t source = 0;  // the CSRC, which identifies the published track; 0: none
  ByteView payload;     // without padding; empty unless opened, and of a probe
  ByteView dependency_descriptor;
  std::optional<AudioLevel> audio_level;
};

class ReceiveStream {
 public:
  explicit ReceiveStream(ReceiveStreamConfig config);

  // Takes a packet of the media SSRC; returns nothing for a duplicate. A probe has no payload,
  // only a number, which the jitter buffer must know.
  std::optional<ReceivedMedia> OnPacket(const RtpPacketView& packet, bool opened, const RtpExtensionIds& ids,
                                        Timestamp now);
  // Takes an opened packet of the RTX SSRC. `payload_type` is the media's.
  std::optional<ReceivedMedia> OnRtx(const RtpPacketView& packet, PayloadType payload_type,
                                     const RtpExtensionIds& ids, Timestamp now);
  void OnSenderReport(const SenderReport& report, Timestamp now);

  // The decoder cannot continue.
  void RequestKeyframe() { keyframes_.Request(); }
  void OnKeyframe(Timestamp now) { keyframes_.OnKeyframe(now); }

  // All packets of this stream are opened, in spite of sampling (ClientConfig::open_one_in).
  bool opened_whole = false;

  const ReceiveStreamConfig& config() const { return config_; }
  const ReceiveStreamCounters& counters() const { return counters_; }
  uint32_t source() const { return source_; }
  // When a media timestamp was sampled, on the sender's NTP line; nothing before a sender report.
  std::optional<int64_t> NtpMicrosOf(uint32_t timestamp) const;

  NackGenerator& nacks() { return nacks_; }
  const NackGenerator& nacks() const { return nacks_; }
  KeyframeRequester& keyframes() { return keyframes_; }
  ReceiverStats& stats() { return stats_; }
  const ReceiverStats& stats() const { return stats_; }

 private:
  std::optional<ReceivedMedia> Take(const RtpPacketView& packet, bool opened, bool repaired,
                                    const RtpExtensionIds& ids, Timestamp now);
  bool SeenBefore(int64_t sequence);

  ReceiveStreamConfig config_;
  Unwrapper<uint16_t> sequence_;
  NackGenerator nacks_;
  ReceiverStats stats_;
  KeyframeRequester keyframes_;
  std::array<int64_t, 1024> seen_{};  // by the low bits of the number: a window against duplicates
  uint32_t source_ = 0;
  std::optional<uint32_t> sr_timestamp_;
  int64_t sr_ntp_us_ = 0;
  uint64_t given_up_ = 0;
  std::array<uint8_t, 1'500> restored_;
  ReceiveStreamCounters counters_;
};

}  // namespace nexus
