// One encoding that a client sends: one SSRC with its RTX stream (RFC 4588). Owns sequence numbers and clock,
// keeps sent packets in a bounded history, answers NACKs from it, and records keyframe requests. A simulcast
// source has several of them, which share a MID and differ by RID (RFC 8853).
#pragma once

#include <optional>
#include <string>

#include "engine/client/client_header.h"
#include "engine/client/client_transport.h"
#include "engine/client/send_bandwidth.h"
#include "engine/codec/codec.h"
#include "engine/forward/packet_ring.h"
#include "engine/media/media_kind.h"
#include "engine/rtcp/rtcp_packet.h"
#include "engine/rtcp/rtcp_writer.h"

namespace nexus {

struct SendStreamConfig {
  MediaKind kind = MediaKind::kVideo;
  Codec codec = Codec::kVp8;
  uint32_t clock_rate = 90'000;
  PayloadType payload_type;
  std::optional<PayloadType> rtx_payload_type;
  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
  std::string mid;
  std::string rid;
  // Hard problem 8: streams begin below 2^15, so that a lost first packet cannot hide a roll-over from the
  // receiver.
  uint16_t first_sequence = 1;
  uint16_t first_rtx_sequence = 1;
  uint32_t first_timestamp = 0;
  size_t history_packets = 512;
  Duration history_age = std::chrono::seconds(2);
  uint8_t max_retransmissions = 10;  // of one packet
};

// Content of one packet; the stream adds header fields and extensions.
struct SendPacket {
  uint32_t timestamp = 0;  // of the source's clock; the stream's offset is added
  bool marker = false;
  ByteView prefix;  // the payload descriptor; may be empty
  ByteView payload;
  std::optional<AudioLevel> audio_level;
  ByteView dependency_descriptor;
};

struct SendStreamCounters {
  uint64_t packets = 0;
  uint64_t bytes = 0;  // payload
  uint64_t nacked = 0;
  uint64_t retransmitted = 0;
  uint64_t retransmit_missing = 0;     // no longer in the history
  uint64_t retransmit_suppressed = 0;  // requested again within a round trip, or too often
  uint64_t keyframe_requests = 0;
  uint64_t too_large = 0;
};

// Parts that all streams of one transport share: the transport-wide sequence number, and the bandwidth
// estimator.
struct SendPath {
  explicit SendPath(SendBandwidth& estimator) : bandwidth(estimator) {}
  int64_t next_sequence = 1;
  SendBandwidth& bandwidth;
};

class SendStream {
 public:
  SendStream(SendStreamConfig config, const RtpExtensionIds& ids, ClientTransport& transport, SendPath& path);

  // False: not connected, too large, or the batch is full. Only a packet that is sent takes a number.
  bool Send(const SendPacket& packet, Timestamp now);
  void OnNack(const Nack& nack, Duration rtt, Timestamp now);
  // PLI, or FIR with its sequence number: a repeated FIR is one request (RFC 5104 section 4.3.1.2).
  void OnPictureLoss();
  void OnFullIntra(uint8_t sequence);
  void OnReportBlock(const ReportBlock& block, std::optional<Duration> rtt);
  // True once for each request: the next frame of the encoder must be a keyframe.
  bool TakeKeyframeRequest();
  // Padding up to `size` bytes on the RTX stream, for probes (RFC 4588 section 8.8 has no better use of it).
  bool SendPadding(size_t size, Timestamp now);

  std::optional<SenderReportFields> MakeSenderReport(NtpTime ntp, Timestamp now) const;

  const SendStreamConfig& config() const { return config_; }
  const SendStreamCounters& counters() const { return counters_; }
  uint8_t fraction_lost() const { return fraction_lost_; }
  bool keyframe_wanted() const { return keyframe_wanted_; }
  // Starts or stops the encoding, for the sender's own bitrate adaptation or the layer demand of the SFU.
  void SetActive(bool active);
  bool active() const { return active_; }

 private:
  struct Resent {
    int64_t sequence = -1;
    Timestamp at;
    uint8_t times = 0;
  };
  ClientRtpHeader Header(const SendPacket& packet, Timestamp now) const;
  void Retransmit(uint16_t sequence, Duration rtt, Timestamp now);
  void CountLeft(size_t size, Timestamp now);

  SendStreamConfig config_;
  const RtpExtensionIds& ids_;
  ClientTransport& transport_;
  SendPath& path_;
  std::optional<PacketRing> history_;  // nothing without RTX
  std::vector<Resent> resent_;         // by the low bits of the number
  int64_t sequence_;
  int64_t rtx_sequence_;
  bool active_ = true;
  bool identified_ = false;  // the peer has reported on this SSRC: MID and RID may go (RFC 9143 section 15.2)
  bool keyframe_wanted_ = true;
  std::optional<uint8_t> last_fir_;
  uint8_t fraction_lost_ = 0;
  std::optional<uint32_t> last_timestamp_;
  Timestamp last_sent_{};
  SendStreamCounters counters_;
};

}  // namespace nexus
