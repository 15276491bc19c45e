#include "engine/sctp/dcep.h"

namespace nexus {
namespace {

constexpr uint8_t kAck = 0x02;
constexpr uint8_t kOpen = 0x03;
constexpr uint8_t kUnordered = 0x80;
constexpr uint8_t kReliable = 0x00;
constexpr uint8_t kPartialReliableRexmit = 0x01;
constexpr uint8_t kPartialReliableTimed = 0x02;
constexpr size_t kOpenSize = 12;

std::string Text(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
ByteView Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

// RFC 8832 section 5.1:
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Message Type |  Channel Type |            Priority           |
//   |                    Reliability Parameter                      |
//   |         Label Length          |       Protocol Length         |
//   |                    Label, then Protocol                       |
std::optional<DataChannelOptions> ParseDataChannelOpen(ByteView message) {
  ByteReader reader(message);
  if (reader.U8() != kOpen) return std::nullopt;
  const uint8_t type = reader.U8();
  DataChannelOptions options;
  options.priority = reader.U16();
  const uint32_t reliability = reader.U32();
  const uint16_t label_size = reader.U16();
  const uint16_t protocol_size = reader.U16();
  if (!reader.ok() || label_size > kMaxDataChannelName || protocol_size > kMaxDataChannelName)
    return std::nullopt;
  options.ordered = (type & kUnordered) == 0;
  switch (type & ~kUnordered) {
    case kReliable:
      break;  // the parameter is ignored
    case kPartialReliableRexmit:
      options.max_retransmits = reliability;
      break;
    case kPartialReliableTimed:
      options.max_lifetime_ms = reliability;
      break;
    default:
      return std::nullopt;
  }
  options.label = Text(reader.Bytes(label_size));
  options.protocol = Text(reader.Bytes(protocol_size));
  if (!reader.ok() || reader.remaining() != 0) return std::nullopt;
  return options;
}

bool IsDataChannelAck(ByteView message) { return message.size() == 1 && message[0] == kAck; }

std::vector<uint8_t> WriteDataChannelAck() { return {kAck}; }

std::vector<uint8_t> WriteDataChannelOpen(const DataChannelOptions& options) {
  std::vector<uint8_t> message(kOpenSize + options.label.size() + options.protocol.size());
  ByteWriter writer(message);
  uint8_t type = kReliable;
  if (options.max_retransmits) type = kPartialReliableRexmit;
  if (options.max_lifetime_ms) type = kPartialReliableTimed;
  writer.U8(kOpen);
  writer.U8(static_cast<uint8_t>(type | (options.ordered ? 0 : kUnordered)));
  writer.U16(options.priority);
  writer.U32(options.max_retransmits.value_or(options.max_lifetime_ms.value_or(0)));
  writer.U16(static_cast<uint16_t>(options.label.size()));
  writer.U16(static_cast<uint16_t>(options.protocol.size()));
  writer.Bytes(Bytes(options.label));
  writer.Bytes(Bytes(options.protocol));
  return message;
}

}  // namespace nexus
