// Contents of RTCP packets (RFC 3550 §6, RFC 4585, RFC 5104), as views of the received bytes, without copies.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/rtcp/ntp_time.h"
#include "engine/rtcp/twcc_feedback.h"

namespace nexus {

// RFC 3550 §6.4.1
struct ReportBlock {
  Ssrc source;
  uint8_t fraction_lost = 0;
  int32_t cumulative_lost = 0;  // 24 bits, signed
  uint32_t extended_highest_sequence = 0;
  uint32_t jitter = 0;
  uint32_t last_sr = 0;
  uint32_t delay_since_last_sr = 0;  // 1/65536 s
};

class ReportBlocks {
 public:
  ReportBlocks() = default;
  explicit ReportBlocks(ByteView bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size() / kSize; }
  ReportBlock operator[](size_t index) const;
  static constexpr size_t kSize = 24;

 private:
  ByteView bytes_;
};

struct SenderReport {
  Ssrc sender;
  NtpTime ntp;
  uint32_t rtp_timestamp = 0;
  uint32_t packet_count = 0;
  uint32_t octet_count = 0;
  ReportBlocks blocks;
};
struct ReceiverReport {
  Ssrc sender;
  ReportBlocks blocks;
};
// One chunk's CNAME (RFC 3550 §6.5.1); other items are skipped.
struct SdesCname {
  Ssrc source;
  std::string_view cname;
};
struct Goodbye {
  ByteView sources;  // four bytes each
  size_t size() const { return sources.size() / 4; }
  Ssrc operator[](size_t index) const;
};
// RFC 4585 §6.2.1
struct Nack {
  Ssrc sender;
  Ssrc media;
  ByteView blocks;  // PID and BLP, four bytes each
  // Calls `visit(uint16_t)` for each lost sequence number, also across the wrap from 65535 to 0.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    ByteReader reader(blocks);
    while (reader.remaining() >= 4) {
      const uint16_t pid = reader.U16();
      visit(pid);
      const uint16_t blp = reader.U16();
      for (int bit = 0; bit < 16; ++bit) {
        if (blp >> bit & 1) visit(static_cast<uint16_t>(pid + bit + 1));
      }
    }
  }
};
// RFC 4585 §6.3.1
struct PictureLoss {
  Ssrc sender;
  Ssrc media;
};
// RFC 5104 §4.3.1: one item per target.
struct FullIntra {
  Ssrc sender;
  ByteView items;  // SSRC, sequence number, 24 reserved bits
  size_t size() const { return items.size() / 8; }
  Ssrc target(size_t index) const;
  uint8_t sequence(size_t index) const { return items[index * 8 + 4]; }
};
// draft-alvestrand-rmcat-remb-03
struct Remb {
  Ssrc sender;
  uint64_t bitrate_bps = 0;
};

using RtcpItem = std::variant<SenderReport, ReceiverReport, SdesCname, Goodbye, Nack, PictureLoss, FullIntra,
                              Remb, TwccFeedbackView>;

}  // namespace nexus
