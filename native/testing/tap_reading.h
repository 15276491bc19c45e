// The records that a reader of a tap receives (track_stream.proto), parsed from their bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/tap/tap_settings.h"

namespace nexus::testing {

struct TapRecord {
  enum Kind { kPacket = 1, kGap = 2, kSource = 3, kMuted = 4, kSenderReport = 5 };
  Kind kind = kPacket;
  // By field number of the record's message; what is absent is 0.
  uint64_t number(uint32_t field) const { return field < numbers.size() ? numbers[field] : 0; }
  int64_t integer(uint32_t field) const { return static_cast<int64_t>(number(field)); }
  std::vector<uint64_t> numbers;
  std::vector<uint8_t> payload;  // field 9 of a packet
  std::string text;              // field 5 of a source

  int64_t sequence() const { return integer(1); }
  int64_t timestamp() const { return integer(2); }
  bool keyframe() const { return number(4) != 0; }
  int64_t media_time_us() const { return integer(7); }
};

struct TapReading {
  std::vector<TapRecord> records;
  size_t batches = 0;
  uint64_t position = 0;  // of the last record; 0 before the edge has numbered it
  bool ended = false;

  // Sets `malformed` for good when the bytes do not parse.
  void Add(const TapBatch& batch);
  bool malformed = false;

  std::vector<TapRecord> Of(TapRecord::Kind kind) const;
  // Describes the faults; empty when there are none: a missing packet without a gap record, a repeated or
  // decreasing number, video that begins without a keyframe.
  std::string Faults(bool video) const;
};

}  // namespace nexus::testing
