// Encodes records as protobuf (proto/nexus/sfu/v1/track_stream.proto) by hand. Python and gRPC pass the bytes
// on without parsing them, so they are encoded only once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/codec/codec.h"
#include "engine/rtcp/ntp_time.h"
#include "engine/tap/reorder_buffer.h"
#include "engine/tap/tap_settings.h"

namespace nexus {

struct TapSource {
  Codec codec = Codec::kOpus;
  PayloadType payload_type;
  uint32_t clock_rate = 0;
  Ssrc ssrc;
  std::string rid;
  std::string scalability_mode;
  friend bool operator==(const TapSource&, const TapSource&) = default;
};

class TapEncoder {
 public:
  TapEncoder(TapId tap, int64_t unix_offset_us) : tap_(tap), unix_offset_us_(unix_offset_us) {}

  void AddSource(const TapSource& source);
  void AddPacket(const SourcePacket& packet, bool synchronised);
  void AddGap(const SequenceGap& gap);
  void AddMuted(bool muted, Timestamp at);
  void AddSenderReport(int64_t rtp_timestamp, NtpTime ntp);

  size_t size() const { return batch_.records.size(); }
  bool empty() const { return batch_.records.empty() && !gap_; }
  TapBatch Take();

 private:
  void Number(int64_t first, int64_t last);
  // Writes the gap that waits for the media time of the packet behind it; 0: none follows.
  void WriteGap(int64_t media_time_after_us);
  TapId tap_;
  int64_t unix_offset_us_;
  TapBatch batch_;
  std::optional<SequenceGap> gap_;
  int64_t last_media_time_us_ = 0;  // of the last packet of this source or an earlier one
};

// The media times at both edges of a gap, as Unix time; 0: unknown.
struct GapEdges {
  int64_t before_us = 0;
  int64_t after_us = 0;
};

// One gap record, as in a StreamTrackResponse.
std::vector<uint8_t> EncodeGap(const SequenceGap& gap, uint64_t packets_dropped, GapEdges edges = {});
// The position of a StreamTrackResponse, to be appended to its records. The last one counts.
void AppendPosition(std::vector<uint8_t>& response, uint64_t position);

}  // namespace nexus
