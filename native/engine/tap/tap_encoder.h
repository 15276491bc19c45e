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
  bool empty() const { return batch_.records.empty(); }
  TapBatch Take();

 private:
  void Number(int64_t first, int64_t last);
  TapId tap_;
  int64_t unix_offset_us_;
  TapBatch batch_;
};

// One gap record, as in a StreamTrackResponse.
std::vector<uint8_t> EncodeGap(const SequenceGap& gap, uint64_t packets_dropped);

}  // namespace nexus
