// The streams that a test peer publishes and receives. Marks in payloads identify the stream and the frame.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/unwrap.h"
#include "engine/codec/picture_size.h"
#include "engine/codec/vp8/vp8_descriptor.h"
#include "engine/control/command.h"
#include "engine/rtcp/rtcp_packet.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus::testing {

struct PublishedStreamOptions {
  MediaKind kind = MediaKind::kVideo;
  Ssrc ssrc;
  Ssrc rtx_ssrc;
  std::string mid;
  std::string rid;    // of simulcast, in every packet (RFC 8852)
  uint32_t mark = 0;  // part of every payload
  uint16_t first_sequence = 100;
  uint32_t first_timestamp = 5000;
  size_t packets_per_frame = 3;
  size_t payload_size = 1'000;  // of a video packet
  size_t uneven = 0;            // bytes by which every other packet is shorter, as real packetisers make them
  PictureSize size;             // in its keyframes; none: they contain no size
  bool with_mid = true;         // of the packet's header extensions
  bool descriptors = false;     // of the packet's header extensions: dependency descriptors, of one layer
  uint16_t frame_number_step = 1;
  bool encrypted = false;  // behind VP8's payload descriptor
};

struct StoredPacket {
  std::vector<uint8_t> header;
  std::vector<uint8_t> payload;
};

// The contents of one audio packet.
struct AudioPacketOptions {
  uint8_t level = 20;      // -dBov
  bool with_level = true;  // of the packet's header extensions
  size_t size = 80;        // of the payload: two bytes are Opus's silence
  size_t redundancy = 0;   // number of redundant blocks (RFC 2198); any needs RED's payload type
  bool red = false;        // RED's payload type without redundant blocks too
  bool lost = false;       // takes a sequence number and is not sent
};

struct PublishedStream {
  explicit PublishedStream(const PublishedStreamOptions& given)
      : options(given), sequence(given.first_sequence), rtx_sequence(77) {}
  PublishedStreamOptions options;
  int64_t sequence;
  int64_t rtx_sequence;
  uint32_t timestamp_offset = 0;
  uint16_t picture_id = 30000;
  uint16_t frame_number = 65'500;
  uint8_t template_offset = 60;
  uint32_t frames = 0;
  uint32_t packets = 0;
  uint64_t keyframes = 0;
  bool keyframe_wanted = true;
  std::vector<Timestamp> plis;  // arrival times
  uint64_t nacked = 0;
  uint64_t twcc_feedbacks = 0;
  std::vector<ReportBlock> reports;
  std::map<uint16_t, StoredPacket> history;
  std::deque<std::pair<uint32_t, std::vector<uint8_t>>> sent_audio;  // time and payload, newest first

  uint32_t TimestampAt(Timestamp now) const;
};

// The mark in a payload: stream, frame number, packet number and time of sampling.
struct PayloadMark {
  uint32_t mark = 0;
  uint32_t frame = 0;
  uint16_t packet = 0;
  int64_t sampled_us = 0;  // on the emulated clock
  static constexpr size_t kSize = 18;
  void Write(std::vector<uint8_t>& out) const;
  static std::optional<PayloadMark> Read(ByteView bytes);
};

struct ReceivedPacket {
  // Redundant blocks, oldest first.
  struct Redundant {
    uint32_t timestamp = 0;
    std::optional<PayloadMark> mark;
  };
  std::vector<Redundant> redundant;
  uint8_t payload_type = 0;
  std::vector<uint8_t> payload;
  std::vector<uint8_t> descriptor;  // dependency descriptor; empty: none
  size_t payload_size = 0;
  int64_t sequence = 0;
  uint32_t timestamp = 0;
  bool marker = false;
  uint32_t csrc = 0;
  bool keyframe_start = false;
  bool repaired = false;
  std::optional<Vp8Descriptor> vp8;
  std::optional<PayloadMark> mark;
  Timestamp arrival;
};

class ReceivedStream {
 public:
  ReceivedStream(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind);

  // `red`: the payload is redundant audio. True for the first packet of a keyframe.
  bool OnPacket(const RtpPacketView& packet, Timestamp now, bool repaired, bool red = false,
                ByteView descriptor = {});

  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
  MediaKind kind;
  std::map<int64_t, ReceivedPacket> packets;  // by unwrapped number
  std::vector<int64_t> rtx_sequences;
  uint64_t duplicates = 0;
  uint64_t altered = 0;  // duplicates that differ from the first packet
  // The last sender report.
  std::optional<uint32_t> sr_timestamp;
  std::optional<int64_t> sr_ntp_us;
  uint32_t sr_compact = 0;
  Timestamp sr_arrival;
  std::vector<std::string> cnames;

  // Numbers between the first and the last packet that never arrived. Packets that the very first one has
  // overtaken do not count, because no receiver requests numbers below its first.
  std::vector<int64_t> Missing() const;
  // Describes the faults of the stream; empty when there are none: gaps that no switch explains, timestamps
  // or picture ids that decrease, a source that begins without a keyframe, a payload whose mark contradicts
  // the CSRC. A switch may leave out packets that had not arrived, or not been repaired, when the new source
  // began.
  std::string Faults(const std::map<uint32_t, uint32_t>& csrc_of_mark) const;
  // Describes the faults of the stream for a receiver that uses dependency descriptors: packets without one
  // or with an unknown structure, frame numbers that decrease or leave a gap at a switch, frames that refer
  // to another frame than the one that was sent before.
  std::string DescriptorFaults() const;
  // Time at which the packet was sampled, by the stream's sender report, on the SFU's clock.
  std::optional<int64_t> PresentationUs(const ReceivedPacket& packet) const;

 private:
  // True for packets that were sampled so shortly before a switch that the missing ones had no time to
  // arrive.
  bool IsCutOff(const ReceivedPacket& packet, const std::map<int64_t, int64_t>& switches) const;

  Unwrapper<uint16_t> sequence_;
  std::optional<int64_t> first_arrived_;
};

}  // namespace nexus::testing
