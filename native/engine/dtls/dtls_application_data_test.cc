// Application data over DTLS, which carries SCTP: order, bounds, and silence after the end.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/dtls/dtls_endpoint.h"
#include "engine/dtls/dtls_network.h"

namespace nexus {
namespace {

using std::chrono::seconds;

DtlsConfig Receiving(size_t records) {
  DtlsConfig config;
  config.max_received = records;
  return config;
}

TEST(DtlsApplicationData, RecordsArriveCompleteAndInOrder) {
  DtlsNetwork network({}, Receiving(8));
  EXPECT_FALSE(network.client.SendApplicationData(Datagram{1}));  // not connected yet
  network.Start();
  network.RunFor(seconds(1));
  const std::vector<Datagram> sent = {Datagram(1, 1), Datagram(1'132, 2), Datagram(3, 3)};
  for (const Datagram& record : sent) EXPECT_TRUE(network.client.SendApplicationData(record));
  size_t largest = 0;
  while (const auto datagram = network.client.PollTransmit()) {
    largest = std::max(largest, datagram->size());
    network.Deliver(DtlsRole::kServer, *datagram);
  }
  EXPECT_LE(largest, 1'200u);
  for (const Datagram& record : sent) EXPECT_EQ(network.server.PollApplicationData(), record);
  EXPECT_FALSE(network.server.PollApplicationData());
}

TEST(DtlsApplicationData, BoundsTheReceiveQueueAndCountsDroppedRecords) {
  DtlsNetwork network({}, Receiving(2));
  network.Start();
  network.RunFor(seconds(1));
  for (uint8_t i = 0; i < 5; ++i) EXPECT_TRUE(network.client.SendApplicationData(Datagram{i}));
  while (const auto datagram = network.client.PollTransmit()) network.Deliver(DtlsRole::kServer, *datagram);
  EXPECT_EQ(network.server.counters().application_data_in, 5u);
  EXPECT_EQ(network.server.counters().dropped_application_data, 3u);
  EXPECT_EQ(network.server.PollApplicationData(), Datagram{0});
}

TEST(DtlsApplicationData, SendsNothingAfterTheEnd) {
  DtlsNetwork network({}, Receiving(2));
  network.Start();
  network.RunFor(seconds(1));
  network.client.Close();
  while (const auto datagram = network.client.PollTransmit()) network.Deliver(DtlsRole::kServer, *datagram);
  EXPECT_FALSE(network.server.SendApplicationData(Datagram{1}));
}

}  // namespace
}  // namespace nexus
