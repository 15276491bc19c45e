// The data channels of a test peer, which keep what they receive in order.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sctp/data_channels.h"
#include "engine/sctp/data_envelope.h"

namespace nexus::testing {

struct ReceivedData {
  std::vector<uint8_t> bytes;
  DataChannelOptions kind;
  // Views into `bytes`, so this does not move: kept by pointer.
  std::optional<DataEnvelope> envelope;
  std::string Payload() const { return {envelope->payload.begin(), envelope->payload.end()}; }
};

class TestData {
 public:
  explicit TestData(bool dtls_client = true)
      : channels(SctpConfig{}, DataChannelLimits{}, dtls_client, 256u << 10, wake_, nullptr) {}

  uint16_t Open(bool reliable = true, bool ordered = true,
                std::string protocol = std::string(kDataProtocol)) {
    DataChannelOptions options;
    options.ordered = ordered;
    if (!reliable) options.max_retransmits = 0;
    options.label = "nexus";
    options.protocol = std::move(protocol);
    return channels.Open(options).value_or(UINT16_MAX);
  }
  DataSendOutcome Send(uint16_t stream, std::string_view payload, std::vector<std::string_view> to = {},
                       std::string_view topic = {}) {
    DataEnvelope envelope;
    envelope.destinations = std::move(to);
    envelope.topic = topic;
    envelope.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
    return SendRaw(stream, WriteDataEnvelope(envelope));
  }
  DataSendOutcome SendRaw(uint16_t stream, std::vector<uint8_t> message) {
    return channels.Send(stream, false, std::make_shared<const std::vector<uint8_t>>(std::move(message)));
  }
  void Read() {
    while (reading) {
      auto event = channels.Poll();
      if (!event) return;
      if (std::holds_alternative<DataChannelClosed>(*event)) ++closed;
      auto* message = std::get_if<DataChannelMessage>(&*event);
      if (message == nullptr) continue;
      auto data = std::make_unique<ReceivedData>();
      if (const auto* kind = channels.Find(message->stream)) data->kind = *kind;
      data->bytes = std::move(message->bytes);
      data->envelope = ParseDataEnvelope(data->bytes);
      received.push_back(std::move(data));
    }
  }

 private:
  SctpWakeList wake_;

 public:
  DataChannels channels;
  std::vector<std::unique_ptr<ReceivedData>> received;
  bool reading = true;
  int closed = 0;
};

}  // namespace nexus::testing
