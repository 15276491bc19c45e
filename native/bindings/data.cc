// The calls of data channels: settings of a transport's data, and messages of the server.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>

#include "bindings/calls.h"
#include "engine/sctp/data_envelope.h"

namespace nexus::bindings {
namespace {

static_assert(SctpConfig{}.max_message == kMaxDataPart + kMaxDataHeader);

// Must only differ from the numbers of the server's other messages in flight.
std::atomic<uint32_t> next_number = 0;

void Configure(Engine& engine, int64_t transport, int64_t remote_port, int64_t max_message_size,
               std::string participant, bool publish, bool receive) {
  if (remote_port < 1 || remote_port > UINT16_MAX) throw nb::value_error("remote_port must be 1 to 65535");
  if (max_message_size < 0) throw nb::value_error("max_message_size must not be negative");
  if (participant.size() > kMaxDataIdentifier)
    throw nb::value_error("participant must have at most 64 bytes");
  ConfigureData command;
  command.transport = As<TransportId>(transport);
  command.data.remote_port = static_cast<uint16_t>(remote_port);
  command.data.max_message_size = static_cast<uint64_t>(max_message_size);
  command.data.participant = std::move(participant);
  command.data.publish = publish;
  command.data.receive = receive;
  Do([&] { return engine.Send(std::move(command)); });
}

void Send(Engine& engine, int64_t room, const nb::bytes& payload, const std::vector<int64_t>& to,
          const std::string& topic, bool text, bool reliable, bool ordered) {
  if (payload.size() > kMaxDataPayload) throw nb::value_error("payload must have at most 256 KiB");
  DataEnvelope envelope;
  envelope.from_server = true;
  envelope.directed = !to.empty();
  envelope.text = text;
  envelope.number = next_number.fetch_add(1, std::memory_order_relaxed);
  envelope.topic = topic;
  envelope.payload = {reinterpret_cast<const uint8_t*>(payload.c_str()), payload.size()};
  std::vector<std::vector<uint8_t>> messages = WriteDataMessages(envelope);
  if (messages.empty()) throw nb::value_error("topic must have at most 128 bytes");
  SendData command;
  command.room = As<RoomId>(room);
  for (const int64_t id : to) command.to.push_back(As<TransportId>(id));
  command.kind.ordered = ordered;
  if (!reliable) command.kind.max_retransmits = 0;
  for (std::vector<uint8_t>& message : messages)
    command.messages.push_back(std::make_shared<const std::vector<uint8_t>>(std::move(message)));
  Do([&] { return engine.Send(std::move(command)); });
}

}  // namespace

void AddDataCalls(nb::class_<Engine>& engine) {
  engine.def("configure_data", &Configure, nb::arg("transport"), nb::kw_only(), nb::arg("remote_port") = 5000,
             nb::arg("max_message_size") = 65'536, nb::arg("participant") = "", nb::arg("publish") = true,
             nb::arg("receive") = true);
  engine.def("send_data", &Send, nb::arg("room"), nb::arg("payload"), nb::kw_only(),
             nb::arg("to") = std::vector<int64_t>{}, nb::arg("topic") = "", nb::arg("text") = false,
             nb::arg("reliable") = true, nb::arg("ordered") = true);
}

}  // namespace nexus::bindings
