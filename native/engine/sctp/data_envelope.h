// Who says what to whom: the header of every message on a Nexus data channel (docs/reference/data.md).
//
//   0: version, 1
//   1: flags: 0x01 the payload is text (UTF-8), 0x02 from the server, 0x04 to some only (set by the server),
//      0x08 the first of two parts, 0x10 the last of two
//   2: only with a flag of a part: the number of the message, 4 bytes, chosen at random by who sends it
//      length of the sender's id, then the id: empty from a client; the server fills it in
//      length of the topic, then the topic
//      count of destinations, then for each: length of the id, then the id; none: everybody. Always none from
//      the server
//      the payload, to the end
//
// A browser takes 256 KiB in one message of SCTP (RFC 8841 section 6), which has to hold the header too. A
// payload beyond 255 KiB therefore travels as two messages, the first with exactly 255 KiB of it. The server
// passes parts on as they come and remembers nothing; who receives them joins them by sender and number.
//
// Lengths and the count have one byte each. The same parser stands in the SDKs; vectors keep them equal.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"

namespace nexus {

inline constexpr std::string_view kDataProtocol =
    "nexus.data.v1";  // the protocol of the channels that carry it
inline constexpr size_t kMaxDataHeader = 1024;
inline constexpr size_t kMaxDataPayload = 256u << 10;
// Of one part; a header of any length leaves so much of a message of 256 KiB.
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
  uint32_t number = 0;  // of the message that this is a part of
  std::string_view sender;
  std::string_view topic;
  std::vector<std::string_view> destinations;
  ByteView payload;
};

// Views into `message`. Nothing for what breaks a rule above, or has a flag that is not known.
std::optional<DataEnvelope> ParseDataEnvelope(ByteView message);
// Empty when a bound above does not hold.
std::vector<uint8_t> WriteDataEnvelope(const DataEnvelope& envelope);
// The same for a payload of up to `kMaxDataPayload`: one message, or two parts under `envelope.number`. None
// when a bound does not hold.
std::vector<std::vector<uint8_t>> WriteDataMessages(const DataEnvelope& envelope);

}  // namespace nexus
