#include "engine/tap/tap_encoder.h"

#include <algorithm>

#include "engine/tap/protobuf_writer.h"

namespace nexus {
namespace {

// Field numbers of track_stream.proto.
constexpr uint32_t kRecords = 1;
constexpr uint32_t kPosition = 2;
enum RecordField : uint32_t { kPacket = 1, kGap = 2, kSource = 3, kMuted = 4, kSenderReport = 5 };
// Maximum length of a rid; RFC 8851 defines none, but no client uses more.
constexpr size_t kMaxRid = 64;
// Maximum length of a scalability mode; the longest of W3C webrtc-svc has 11 characters.
constexpr size_t kMaxScalabilityMode = 32;
// `ntp_time` counts from 1900, Unix time from 1970 (RFC 5905 section 6); the reader converts it.

// nexus.types.v1.Codec
uint64_t CodecNumber(Codec codec) {
  switch (codec) {
    case Codec::kOpus:
      return 1;
    case Codec::kVp8:
      return 2;
    case Codec::kVp9:
      return 3;
    case Codec::kH264:
      return 4;
    case Codec::kAv1:
      return 5;
  }
  return 0;
}

// StreamTrackResponse { records: StreamRecord { field: message + tail } }
void AddRecord(std::vector<uint8_t>& out, RecordField field, const ProtobufFields& message,
               ByteView payload = {}, const ProtobufFields* behind_payload = nullptr, ByteView tail = {}) {
  size_t size = message.size() + payload.size() + tail.size();
  if (behind_payload != nullptr) size += behind_payload->size();
  ProtobufFields inner;
  inner.LengthOf(field, size);
  ProtobufFields outer;
  outer.LengthOf(kRecords, inner.size() + size);
  out.reserve(out.size() + outer.size() + inner.size() + size);
  Append(out, outer.bytes());
  Append(out, inner.bytes());
  Append(out, message.bytes());
  Append(out, payload);
  if (behind_payload != nullptr) Append(out, behind_payload->bytes());
  Append(out, tail);
}

ProtobufFields GapFields(const SequenceGap& gap, uint64_t packets_dropped, GapEdges edges) {
  ProtobufFields fields;
  fields.Uint(1, static_cast<uint64_t>(gap.reason));
  fields.Int(2, gap.first);
  fields.Int(3, gap.last);
  fields.Uint(4, packets_dropped);
  fields.Int(5, edges.before_us);
  fields.Int(6, edges.after_us);
  return fields;
}

}  // namespace

void TapEncoder::Number(int64_t first, int64_t last) {
  if (!batch_.numbered) batch_.first_sequence = first;
  batch_.numbered = true;
  batch_.last_sequence = last;
}

void TapEncoder::AddSource(const TapSource& source) {
  WriteGap(0);
  ProtobufFields fields;
  fields.Uint(1, CodecNumber(source.codec));
  fields.Uint(2, source.payload_type.value);
  fields.Uint(3, source.clock_rate);
  fields.Uint(4, source.ssrc.value);
  fields.Text(5, std::string_view(source.rid).substr(0, kMaxRid));
  fields.Text(6, std::string_view(source.scalability_mode).substr(0, kMaxScalabilityMode));
  batch_.last_source.clear();
  AddRecord(batch_.last_source, kSource, fields);
  ++batch_.record_count;
  Append(batch_.records, batch_.last_source);
}

void TapEncoder::AddPacket(const SourcePacket& packet, bool synchronised) {
  const int64_t media_time_us = packet.media_time.time_since_epoch().count() + unix_offset_us_;
  WriteGap(media_time_us);
  ProtobufFields fields;
  fields.Int(1, packet.sequence_number);
  fields.Int(2, packet.timestamp);
  fields.Uint(3, packet.marker ? 1 : 0);
  fields.Uint(4, packet.frame.keyframe_start ? 1 : 0);
  if (packet.audio_level) {
    fields.AlwaysUint(5, packet.audio_level->level);
    fields.Uint(6, packet.audio_level->voice ? 1 : 0);
  }
  fields.Int(7, media_time_us);
  fields.Uint(8, synchronised ? 1 : 0);
  if (packet.video_orientation) fields.AlwaysUint(11, *packet.video_orientation);
  fields.LengthOf(9, packet.payload.size());
  ProtobufFields descriptor;
  if (!packet.dependency_descriptor.empty()) descriptor.LengthOf(10, packet.dependency_descriptor.size());
  AddRecord(batch_.records, kPacket, fields, packet.payload, &descriptor, packet.dependency_descriptor);
  ++batch_.packets;
  ++batch_.record_count;
  if (batch_.first_media_time_us == 0) batch_.first_media_time_us = media_time_us;
  batch_.last_media_time_us = media_time_us;
  last_media_time_us_ = media_time_us;
  Number(packet.sequence_number, packet.sequence_number);
}

void TapEncoder::AddGap(const SequenceGap& gap) {
  WriteGap(0);
  gap_ = gap;
}

void TapEncoder::WriteGap(int64_t media_time_after_us) {
  if (!gap_) return;
  AddRecord(batch_.records, kGap, GapFields(*gap_, 0, {last_media_time_us_, media_time_after_us}));
  ++batch_.record_count;
  Number(gap_->first, gap_->last);
  gap_.reset();
}

void TapEncoder::AddMuted(bool muted, Timestamp at) {
  WriteGap(0);
  ProtobufFields fields;
  fields.Uint(1, muted ? 1 : 0);
  fields.Int(2, at.time_since_epoch().count() + unix_offset_us_);
  batch_.last_muted.clear();
  AddRecord(batch_.last_muted, kMuted, fields);
  ++batch_.record_count;
  Append(batch_.records, batch_.last_muted);
}

void TapEncoder::AddSenderReport(int64_t rtp_timestamp, NtpTime ntp) {
  WriteGap(0);
  ProtobufFields fields;
  fields.Int(1, rtp_timestamp);
  fields.Fixed64(2, ntp.value);
  AddRecord(batch_.records, kSenderReport, fields);
  ++batch_.record_count;
}

TapBatch TapEncoder::Take() {
  WriteGap(0);
  TapBatch batch = std::move(batch_);
  batch.tap = tap_;
  batch_ = {};
  return batch;
}

std::vector<uint8_t> EncodeGap(const SequenceGap& gap, uint64_t packets_dropped, GapEdges edges) {
  std::vector<uint8_t> out;
  AddRecord(out, kGap, GapFields(gap, packets_dropped, edges));
  return out;
}

void AppendPosition(std::vector<uint8_t>& response, uint64_t position) {
  ProtobufFields fields;
  fields.Uint(kPosition, position);
  Append(response, fields.bytes());
}

}  // namespace nexus
