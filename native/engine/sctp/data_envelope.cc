#include "engine/sctp/data_envelope.h"

#include <algorithm>

namespace nexus {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kText = 0x01;
constexpr uint8_t kFromServer = 0x02;
constexpr uint8_t kDirected = 0x04;
constexpr uint8_t kFirstPart = 0x08;
constexpr uint8_t kLastPart = 0x10;
constexpr uint8_t kKnownFlags = kText | kFromServer | kDirected | kFirstPart | kLastPart;
constexpr size_t kNumberBytes = 4;

std::string_view ReadText(ByteReader& reader) {
  const ByteView bytes = reader.Bytes(reader.U8());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void WriteText(ByteWriter& writer, std::string_view text) {
  writer.U8(static_cast<uint8_t>(text.size()));
  writer.Bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::optional<DataPart> PartOf(uint8_t flags) {
  switch (flags & (kFirstPart | kLastPart)) {
    case 0:
      return DataPart::kWhole;
    case kFirstPart:
      return DataPart::kFirst;
    case kLastPart:
      return DataPart::kLast;
    default:
      return std::nullopt;
  }
}

// Limits the parts so that two joined parts do not exceed the maximum payload.
bool PartFits(DataPart part, size_t payload) {
  switch (part) {
    case DataPart::kWhole:
      return payload <= kMaxDataPart;
    case DataPart::kFirst:
      return payload == kMaxDataPart;
    case DataPart::kLast:
      return payload > 0 && payload <= kMaxDataPayload - kMaxDataPart;
  }
  return false;
}

uint8_t FlagsOf(const DataEnvelope& envelope) {
  return static_cast<uint8_t>((envelope.text ? kText : 0) | (envelope.from_server ? kFromServer : 0) |
                              (envelope.directed ? kDirected : 0) |
                              (envelope.part == DataPart::kFirst ? kFirstPart : 0) |
                              (envelope.part == DataPart::kLast ? kLastPart : 0));
}

bool Bounded(const DataEnvelope& envelope) {
  return envelope.sender.size() <= kMaxDataIdentifier && envelope.topic.size() <= kMaxDataTopic &&
         envelope.destinations.size() <= kMaxDataDestinations &&
         std::ranges::all_of(envelope.destinations,
                             [](auto id) { return !id.empty() && id.size() <= kMaxDataIdentifier; });
}

}  // namespace

std::optional<DataEnvelope> ParseDataEnvelope(ByteView message) {
  ByteReader reader(message);
  DataEnvelope envelope;
  if (reader.U8() != kVersion) return std::nullopt;
  const uint8_t flags = reader.U8();
  const std::optional<DataPart> part = PartOf(flags);
  if ((flags & ~kKnownFlags) != 0 || !part) return std::nullopt;
  envelope.part = *part;
  envelope.text = (flags & kText) != 0;
  envelope.from_server = (flags & kFromServer) != 0;
  envelope.directed = (flags & kDirected) != 0;
  if (envelope.part != DataPart::kWhole) envelope.number = reader.U32();
  envelope.sender = ReadText(reader);
  envelope.topic = ReadText(reader);
  const size_t count = reader.U8();
  if (!reader.ok() || count > kMaxDataDestinations) return std::nullopt;
  for (size_t i = 0; i < count; ++i) envelope.destinations.push_back(ReadText(reader));
  if (!reader.ok() || !Bounded(envelope) || reader.position() > kMaxDataHeader) return std::nullopt;
  envelope.payload = reader.Rest();
  if (!PartFits(envelope.part, envelope.payload.size())) return std::nullopt;
  return envelope;
}

std::vector<uint8_t> WriteDataEnvelope(const DataEnvelope& envelope) {
  if (!Bounded(envelope) || !PartFits(envelope.part, envelope.payload.size())) return {};
  const bool whole = envelope.part == DataPart::kWhole;
  size_t header = 5 + (whole ? 0 : kNumberBytes) + envelope.sender.size() + envelope.topic.size();
  for (const std::string_view id : envelope.destinations) header += 1 + id.size();
  if (header > kMaxDataHeader) return {};
  std::vector<uint8_t> message(header + envelope.payload.size());
  ByteWriter writer(message);
  writer.U8(kVersion);
  writer.U8(FlagsOf(envelope));
  if (!whole) writer.U32(envelope.number);
  WriteText(writer, envelope.sender);
  WriteText(writer, envelope.topic);
  writer.U8(static_cast<uint8_t>(envelope.destinations.size()));
  for (const std::string_view id : envelope.destinations) WriteText(writer, id);
  writer.Bytes(envelope.payload);
  return message;
}

std::vector<std::vector<uint8_t>> WriteDataMessages(const DataEnvelope& envelope) {
  std::vector<std::vector<uint8_t>> messages;
  DataEnvelope one = envelope;
  if (envelope.payload.size() <= kMaxDataPart) {
    messages.push_back(WriteDataEnvelope(one));
  } else {
    one.part = DataPart::kFirst;
    one.payload = envelope.payload.first(kMaxDataPart);
    messages.push_back(WriteDataEnvelope(one));
    one.part = DataPart::kLast;
    one.payload = envelope.payload.subspan(kMaxDataPart);
    messages.push_back(WriteDataEnvelope(one));
  }
  if (std::ranges::any_of(messages, [](const auto& message) { return message.empty(); })) return {};
  return messages;
}

}  // namespace nexus
