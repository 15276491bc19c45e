// What a test peer publishes and what it receives, with the marks by which a test knows whose frame it sees.
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
#include "engine/forward/nack_generator.h"
#include "engine/rtcp/rtcp_packet.h"
#include "engine/rtp/rtp_packet.h"

namespace nexus::testing {

struct PublishedStreamOptions {
  MediaKind kind = MediaKind::kVideo;
  Ssrc ssrc;
  Ssrc rtx_ssrc;
  std::string mid;
  std::string rid;    // of simulcast, in every packet (RFC 8852)
  uint32_t mark = 0;  // stands in every payload
  uint16_t first_sequence = 100;
  uint32_t first_timestamp = 5000;
  size_t packets_per_frame = 3;
  size_t payload_size = 1'000;  // of a video packet
  size_t uneven = 0;            // every other packet is so much shorter, as encoders cut pictures
  PictureSize size;             // in its keyframes; none: they do not say
  bool with_mid = true;         // of the packet's header extensions
  bool descriptors = false;     // of the packet's header extensions: dependency descriptors, of one layer
  uint16_t frame_number_step = 1;
  bool encrypted = false;  // behind VP8's payload descriptor
};

struct StoredPacket {
  std::vector<uint8_t> header;
  std::vector<uint8_t> payload;
};

// How one audio packet is sent.
struct AudioPacketOptions {
  uint8_t level = 20;      // -dBov
  bool with_level = true;  // of the packet's header extensions
  size_t size = 80;        // of the payload: two bytes are Opus's silence
  size_t redundancy = 0;   // so many earlier packets ride along (RFC 2198), with RED's payload type
  bool red = false;        // RED's payload type also without any
  bool lost = false;       // made and numbered, and never sent
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
  std::vector<Timestamp> plis;  // when they came
  uint64_t nacked = 0;
  uint64_t twcc_feedbacks = 0;
  std::vector<ReportBlock> reports;
  std::map<uint16_t, StoredPacket> history;
  std::deque<std::pair<uint32_t, std::vector<uint8_t>>> sent_audio;  // time and payload, newest first

  uint32_t TimestampAt(Timestamp now) const;
};

// Payload marks: publisher, frame number, packet number, and whether it is a keyframe's.
struct PayloadMark {
  uint32_t mark = 0;
  uint32_t frame = 0;
  uint16_t packet = 0;
  int64_t sampled_us = 0;  // when it was made, on the emulated clock
  static constexpr size_t kSize = 18;
  void Write(std::vector<uint8_t>& out) const;
  static std::optional<PayloadMark> Read(ByteView bytes);
};

struct ReceivedPacket {
  // What rode along in redundant audio, oldest first.
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

  // `red`: the payload is redundant audio.
  void OnPacket(const RtpPacketView& packet, Timestamp now, bool repaired, bool red = false,
                ByteView descriptor = {});

  Ssrc ssrc;
  std::optional<Ssrc> rtx_ssrc;
  MediaKind kind;
  NackGenerator nacks;
  std::map<int64_t, ReceivedPacket> packets;  // by unwrapped number
  std::vector<int64_t> rtx_sequences;
  uint64_t duplicates = 0;
  uint64_t altered = 0;  // duplicates that are not what came first, byte for byte
  // The last sender report, in the receiver's terms.
  std::optional<uint32_t> sr_timestamp;
  std::optional<int64_t> sr_ntp_us;
  uint32_t sr_compact = 0;
  Timestamp sr_arrival;
  std::vector<std::string> cnames;

  // Numbers between the first that came and the last that never came. What the network let overtake by the
  // very first packet is not among them: no receiver asks for numbers below the one that it began with.
  std::vector<int64_t> Missing() const;
  // What is wrong with the stream, in words; empty when nothing is: gaps that no switch explains, time or
  // picture ids that go back, a source that begins without a keyframe, a payload of another than the CSRC
  // says. A switch may leave open what was not yet there, or not yet repaired, when the new source took over.
  std::string Faults(const std::map<uint32_t, uint32_t>& csrc_of_mark) const;
  // What is wrong with the stream for a receiver that goes by dependency descriptors, in words: packets
  // without one or of an unknown structure, frame numbers that go back or leave a gap at a switch, frames
  // whose predecessor is another than the one that was sent.
  std::string DescriptorFaults() const;
  // When the packet was sampled, read off the stream's sender report, on the SFU's clock.
  std::optional<int64_t> PresentationUs(const ReceivedPacket& packet) const;

 private:
  // Sampled so shortly before a switch that the old source had no time to bring what is missing.
  bool IsCutOff(const ReceivedPacket& packet, const std::map<int64_t, int64_t>& switches) const;

  Unwrapper<uint16_t> sequence_;
  std::optional<int64_t> first_arrived_;
};

}  // namespace nexus::testing
