// Reads a compound (RFC 3550 §6.1) or reduced-size (RFC 5506) RTCP packet item by item. Unknown packets and
// XR are skipped; an invalid length ends the reading, but the items before it count.
#pragma once

#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

// RFC 3550 §12.1, RFC 4585 §6.1
enum class RtcpType : uint8_t {
  kSenderReport = 200,
  kReceiverReport = 201,
  kSdes = 202,
  kBye = 203,
  kApp = 204,
  kTransportFeedback = 205,
  kPayloadFeedback = 206,
  kExtendedReport = 207,
};

class RtcpReader {
 public:
  explicit RtcpReader(ByteView packet) : rest_(packet) {}

  std::optional<RtcpItem> Next();
  // True after an invalid length; final after Next() has returned nothing.
  bool malformed() const { return malformed_; }
  size_t skipped() const { return skipped_; }

 private:
  struct Chunk {
    uint8_t type;
    uint8_t count;
    ByteView body;
  };
  std::optional<Chunk> NextChunk();
  std::optional<RtcpItem> Interpret(const Chunk& chunk);
  std::optional<RtcpItem> NextSdes();

  ByteView rest_;
  ByteView sdes_;  // chunks of the current SDES packet that remain to be returned
  bool malformed_ = false;
  size_t skipped_ = 0;
};

}  // namespace nexus
