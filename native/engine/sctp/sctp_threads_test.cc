// Two threads, like two shards: each has its associations in the process's only usrsctp, and runs its timers.
// For ThreadSanitizer, and to show that they do not affect each other.
#include <gtest/gtest.h>

#include <thread>

#include "engine/sctp/data_channels.h"

namespace nexus {
namespace {

constexpr int kMessages = 200;

// Exchanges messages between two ends on its own thread; true if all arrived in order.
bool Talk(uint8_t mark) {
  SctpWakeList wake;
  DataChannels server(SctpConfig{}, DataChannelLimits{}, false, 256u << 10, wake, nullptr);
  DataChannels client(SctpConfig{}, DataChannelLimits{}, true, 256u << 10, wake, nullptr);
  server.Connect();
  client.Connect();
  std::optional<uint16_t> stream;
  int sent = 0;
  int received = 0;
  for (int64_t step = 0; step < 20'000 && received < kMessages; ++step) {
    SctpStack::Get().RunTimers(TimestampFromMicros(1'000'000'000 + step * 5'000));
    while (const auto packet = client.PollTransmit()) server.HandlePacket(*packet);
    while (const auto packet = server.PollTransmit()) client.HandlePacket(*packet);
    while (client.Poll()) {
    }
    while (const auto event = server.Poll()) {
      const auto* message = std::get_if<DataChannelMessage>(&*event);
      if (message == nullptr) continue;
      if (message->bytes != std::vector<uint8_t>(2'000, static_cast<uint8_t>(mark + received))) return false;
      ++received;
    }
    if (!stream) stream = client.Open({});
    if (stream && sent < kMessages) {
      const auto body =
          std::make_shared<const std::vector<uint8_t>>(2'000, static_cast<uint8_t>(mark + sent));
      if (client.Send(*stream, false, body) == DataSendOutcome::kQueued) ++sent;
    }
    client.Flush();
    server.Flush();
    wake.Take();
  }
  return received == kMessages;
}

TEST(SctpThreads, ShardsDoNotDisturbOneAnother) {
  for (int round = 0; round < 3; ++round) {
    bool first = false;
    bool second = false;
    std::thread one([&] { first = Talk(0); });
    std::thread two([&] { second = Talk(100); });
    one.join();
    two.join();
    EXPECT_TRUE(first);
    EXPECT_TRUE(second);
  }
}

}  // namespace
}  // namespace nexus
