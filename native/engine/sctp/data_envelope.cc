#include "engine/sctp/data_envelope.h"

#include <algorithm>

namespace nexus {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kText = 0x01;
constexpr uint8_t kFromServer = 0x02;
constexpr uint8_t kDirected = 0x04;
constexpr uint8_t kKnownFlags = kText | kFromServer | kDirected;

std::string_view ReadText(ByteReader& reader) {
  const ByteView bytes = reader.Bytes(reader.U8());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void WriteText(ByteWriter& writer, std::string_view text) {
  writer.U8(static_cast<uint8_t>(text.size()));
  writer.Bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
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
  if ((flags & ~kKnownFlags) != 0) return std::nullopt;
  envelope.text = (flags & kText) != 0;
  envelope.from_server = (flags & kFromServer) != 0;
  envelope.directed = (flags & kDirected) != 0;
  envelope.sender = ReadText(reader);
  envelope.topic = ReadText(reader);
  const size_t count = reader.U8();
  if (!reader.ok() || count > kMaxDataDestinations) return std::nullopt;
  for (size_t i = 0; i < count; ++i) envelope.destinations.push_back(ReadText(reader));
  if (!reader.ok() || !Bounded(envelope) || reader.position() > kMaxDataHeader) return std::nullopt;
  envelope.payload = reader.Rest();
  return envelope;
}

std::vector<uint8_t> WriteDataEnvelope(const DataEnvelope& envelope) {
  if (!Bounded(envelope)) return {};
  size_t header = 5 + envelope.sender.size() + envelope.topic.size();
  for (const std::string_view id : envelope.destinations) header += 1 + id.size();
  if (header > kMaxDataHeader) return {};
  std::vector<uint8_t> message(header + envelope.payload.size());
  ByteWriter writer(message);
  writer.U8(kVersion);
  writer.U8(static_cast<uint8_t>((envelope.text ? kText : 0) | (envelope.from_server ? kFromServer : 0) |
                                 (envelope.directed ? kDirected : 0)));
  WriteText(writer, envelope.sender);
  WriteText(writer, envelope.topic);
  writer.U8(static_cast<uint8_t>(envelope.destinations.size()));
  for (const std::string_view id : envelope.destinations) WriteText(writer, id);
  writer.Bytes(envelope.payload);
  return message;
}

}  // namespace nexus
