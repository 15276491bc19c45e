// Who says what to whom: the header of every message on a Nexus data channel (docs/reference/data.md).
//
//   0: version, 1
//   1: flags: 0x01 the payload is text (UTF-8), 0x02 from the server, 0x04 to some only (set by the server)
//   2: length of the sender's id, then the id: empty from a client; the server fills it in
//      length of the topic, then the topic
//      count of destinations, then for each: length of the id, then the id; none: everybody. Always none from
//      the server the payload, to the end
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
    "nexus.data.v1";                            // the protocol of the channels that carry it
inline constexpr size_t kMaxDataHeader = 1024;  // what leaves 255 KiB of a message for payload
inline constexpr size_t kMaxDataTopic = 128;
inline constexpr size_t kMaxDataIdentifier = 64;
inline constexpr size_t kMaxDataDestinations = 32;

struct DataEnvelope {
  bool text = false;
  bool from_server = false;
  bool directed = false;
  std::string_view sender;
  std::string_view topic;
  std::vector<std::string_view> destinations;
  ByteView payload;
};

// Views into `message`. Nothing for what breaks a rule above, or has a flag that is not known.
std::optional<DataEnvelope> ParseDataEnvelope(ByteView message);
// Empty when a bound above does not hold.
std::vector<uint8_t> WriteDataEnvelope(const DataEnvelope& envelope);

}  // namespace nexus
