// The envelope: the header of every message on a Nexus data channel, with sender, topic and destinations
// (docs/reference/data.md).
//
//   0: version, 1
//   1: flags: 0x01 the payload is text (UTF-8), 0x02 from the server, 0x04 to some participants only (set
//      by the server), 0x08 the first of two parts, 0x10 the last of two
//   2: only with a part flag: the number of the message, 4 bytes, chosen at random by the sender
//      length of the sender's id, then the id: empty from a client; the server fills it in
//      length of the topic, then the topic
//      count of destinations, then for each: length of the id, then the id; none: all participants.
//      Always none from the server
//      the payload, to the end
//
// A browser accepts SCTP messages of at most 256 KiB (RFC 8841 section 6) including the header. A payload
// above 255 KiB is therefore sent as two messages, the first with exactly 255 KiB of it. The server passes
// parts on without storing them; the receiver joins them by sender and number.
//
// Lengths and the count have one byte each. The SDKs have the same parser; test vectors keep them equal.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr std::string_view kDataProtocol =
    "nexus.data.v1";  // the protocol of the channels that carry envelopes
inline constexpr size_t kMaxDataHeader = 1024;
inline constexpr size_t kMaxDataPayload = 256u << 10;
// Maximum payload of one part: a header of any size fits beside it into a message of 256 KiB.
inline constexpr size_t kMaxDataPart = kMaxDataPayload - kMaxDataHeader;
inline constexpr size_t kMaxDataTopic = 128;
inline constexpr size_t kMaxDataIdentifier = 64;
inline constexpr size_t kMaxDataDestinations = 32;

enum class DataPart : uint8_t { kWhole, kFirst, kLast };

struct DataEnvelope {
  bool text = false;
  bool from_server = false;
  bool directed = false;
  DataPart part = DataPart::kWhole;
  uint32_t number = 0;  // of the message to which this part belongs
  std::string_view sender;
  std::string_view topic;
  std::vector<std::string_view> destinations;
  ByteView payload;
};

// Contains views into `message`. Nothing if a rule above is broken or a flag is unknown.
std::optional<DataEnvelope> ParseDataEnvelope(ByteView message);
// Empty if a bound above is exceeded.
std::vector<uint8_t> WriteDataEnvelope(const DataEnvelope& envelope);
// The same for a payload of up to `kMaxDataPayload`: one message, or two parts with `envelope.number`. None
// if a bound is exceeded.
std::vector<std::vector<uint8_t>> WriteDataMessages(const DataEnvelope& envelope);

}  // namespace nexus
