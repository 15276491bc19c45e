#include "testing/tap_reading.h"

#include <sstream>

#include "engine/base/bytes.h"

namespace nexus::testing {
namespace {

// Tags of StreamTrackResponse.
constexpr uint64_t kRecordsTag = 1 << 3 | 2;
constexpr uint64_t kPositionTag = 2 << 3;

uint64_t Varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = reader.U8();
    value |= uint64_t{byte & 0x7Fu} << shift;
    if ((byte & 0x80) == 0) break;
  }
  return value;
}

void SetNumber(TapRecord& record, uint64_t field, uint64_t value) {
  if (record.numbers.size() <= field) record.numbers.resize(field + 1);
  record.numbers[field] = value;
}

bool ReadFields(TapRecord& record, ByteView bytes) {
  ByteReader reader(bytes);
  while (reader.ok() && reader.remaining() > 0) {
    const uint64_t tag = Varint(reader);
    const uint64_t field = tag >> 3;
    if (field == 0 || field > 32) return false;
    switch (tag & 7) {
      case 0:
        SetNumber(record, field, Varint(reader));
        break;
      case 1: {
        uint64_t value = 0;
        for (int i = 0; i < 8; ++i) value |= uint64_t{reader.U8()} << 8 * i;
        SetNumber(record, field, value);
        break;
      }
      case 2: {
        const ByteView value = reader.Bytes(Varint(reader));
        if (field == 9) record.payload.assign(value.begin(), value.end());
        if (field == 5) record.text.assign(value.begin(), value.end());
        break;
      }
      default:
        return false;
    }
  }
  return reader.ok();
}

}  // namespace

void TapReading::Add(const TapBatch& batch) {
  ++batches;
  if (ended) malformed = true;
  ended = batch.ended;
  ByteReader reader(batch.records);
  while (reader.ok() && reader.remaining() > 0) {
    const uint64_t response_tag = Varint(reader);
    if (response_tag == kPositionTag) {
      position = Varint(reader);
      continue;
    }
    if (response_tag != kRecordsTag) malformed = true;
    ByteReader record_reader(reader.Bytes(Varint(reader)));
    const uint64_t tag = Varint(record_reader);
    TapRecord record;
    record.kind = static_cast<TapRecord::Kind>(tag >> 3);
    const uint64_t size = Varint(record_reader);
    if ((tag & 7) != 2 || size != record_reader.remaining()) malformed = true;
    if (!ReadFields(record, record_reader.Rest())) malformed = true;
    records.push_back(std::move(record));
  }
  if (!reader.ok()) malformed = true;
}

std::vector<TapRecord> TapReading::Of(TapRecord::Kind kind) const {
  std::vector<TapRecord> found;
  for (const TapRecord& record : records) {
    if (record.kind == kind) found.push_back(record);
  }
  return found;
}

std::string TapReading::Faults(bool video) const {
  std::ostringstream faults;
  if (malformed) faults << "malformed; ";
  std::optional<int64_t> next;  // nothing: any number
  bool keyframe_due = video;
  bool source = false;
  for (const TapRecord& record : records) {
    switch (record.kind) {
      case TapRecord::kSource:
        source = true;
        keyframe_due = video;
        next.reset();
        break;
      case TapRecord::kMuted:
        keyframe_due = video;
        next.reset();
        break;
      case TapRecord::kGap:
        if (next && record.integer(2) != *next && record.number(1) == 1)
          faults << "gap elsewhere than at " << *next << "; ";
        next = record.integer(3) + 1;
        break;
      case TapRecord::kPacket:
        if (!source) faults << "packet without source; ";
        if (next && record.sequence() != *next)
          faults << "at " << record.sequence() << " for " << *next << "; ";
        if (keyframe_due && !record.keyframe()) faults << "no keyframe at " << record.sequence() << "; ";
        keyframe_due = false;
        next = record.sequence() + 1;
        break;
      case TapRecord::kSenderReport:
        break;
    }
  }
  return faults.str();
}

}  // namespace nexus::testing
