// Handshakes over a network that loses, duplicates and reorders datagrams (hard problems 11 and 12).
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <utility>

#include "engine/dtls/dtls_network.h"
#include "engine/dtls/dtls_record.h"
#include "vectors/client_hellos.h"
#include "vectors/hex.h"

namespace nexus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Two timeouts (250 and 500 ms, at either side) and the round trips of an undisturbed handshake.
constexpr Duration kTwoTimeouts = milliseconds(750) + 6 * DtlsNetwork::kOneWay;

DtlsConfig SmallMtu() {
  DtlsConfig config = LargeClientHello();
  config.mtu = 300;  // many datagrams in each flight
  return config;
}

struct Shape {
  const char* name;
  DtlsConfig client;
  DtlsConfig server;
};

std::vector<Shape> Shapes() {
  DtlsConfig rsa;
  rsa.certificate = TestRsaCertificate();
  DtlsConfig small;
  small.mtu = 300;
  return {{"plain", {}, {}},
          {"ClientHello in two datagrams", LargeClientHello(), {}},
          {"RSA server, large ClientHello", LargeClientHello(), rsa},
          {"many fragments", SmallMtu(), small}};
}

TEST(DtlsFlights, ALargeClientHelloSpansTwoDatagrams) {
  DtlsNetwork network(LargeClientHello(), {});
  size_t first_flight = 0;
  network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
    if (sender == DtlsRole::kClient && number == 0) first_flight = flight.size();
  });
  network.Start();
  network.RunFor(seconds(1));
  EXPECT_TRUE(network.connected());
  EXPECT_EQ(first_flight, 2u);
}

TEST(DtlsFlights, NoDatagramIsLargerThanTheMtu) {
  for (const Shape& shape : Shapes()) {
    DtlsNetwork network(shape.client, shape.server);
    network.Start();
    network.RunFor(seconds(1));
    EXPECT_TRUE(network.connected()) << shape.name;
    EXPECT_LE(network.largest(), std::max(shape.client.mtu, shape.server.mtu)) << shape.name;
  }
}

TEST(DtlsFlights, RecoversAnyLostFlightWithinTwoTimeouts) {
  for (const Shape& shape : Shapes()) {
    for (const DtlsRole loser : {DtlsRole::kClient, DtlsRole::kServer}) {
      for (int lost = 0; lost < 2; ++lost) {
        DtlsNetwork network(shape.client, shape.server);
        network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
          if (sender == loser && number == lost) flight.clear();
        });
        network.Start();
        network.RunFor(seconds(20));
        ASSERT_TRUE(network.connected()) << shape.name << ", lost " << lost;
        EXPECT_LE(network.connected_after(), kTwoTimeouts) << shape.name << ", lost " << lost;
      }
    }
  }
}

TEST(DtlsFlights, RecoversAnyLostDatagramWithinTwoTimeouts) {
  for (const Shape& shape : Shapes()) {
    for (const DtlsRole loser : {DtlsRole::kClient, DtlsRole::kServer}) {
      for (int lost = 0; lost < 20; ++lost) {
        DtlsNetwork network(shape.client, shape.server);
        int seen = 0;
        network.set_treatment([&](DtlsRole sender, int, Flight& flight) {
          if (sender != loser) return;
          std::erase_if(flight, [&](const Datagram&) { return seen++ == lost; });
        });
        network.Start();
        network.RunFor(seconds(20));
        ASSERT_TRUE(network.connected()) << shape.name << ", lost " << lost;
        EXPECT_LE(network.connected_after(), kTwoTimeouts) << shape.name << ", lost " << lost;
      }
    }
  }
}

TEST(DtlsFlights, DuplicatesCauseNoDelayAndNoLoop) {
  for (const Shape& shape : Shapes()) {
    DtlsNetwork network(shape.client, shape.server);
    network.set_treatment([](DtlsRole, int, Flight& flight) {
      const Flight copy = flight;
      flight.insert(flight.end(), copy.begin(), copy.end());
    });
    network.Start();
    network.RunFor(seconds(1));
    ASSERT_TRUE(network.connected()) << shape.name;
    EXPECT_EQ(network.connected_after(), 4 * DtlsNetwork::kOneWay) << shape.name;
    const int sent = network.sent();
    network.RunFor(seconds(120));
    EXPECT_EQ(network.sent(), sent) << shape.name << ": a loop of retransmissions";
    EXPECT_TRUE(network.connected()) << shape.name;
  }
}

TEST(DtlsFlights, RepeatedFinalFlightsDoNotStartALoop) {
  DtlsNetwork network({}, {});
  Flight last_of_client;
  Flight last_of_server;
  network.set_treatment([&](DtlsRole sender, int, Flight& flight) {
    (sender == DtlsRole::kClient ? last_of_client : last_of_server) = flight;
  });
  network.Start();
  network.RunFor(seconds(1));
  ASSERT_TRUE(network.connected());
  const int sent = network.sent();
  const Flight of_client = last_of_client;
  const Flight of_server = last_of_server;
  for (int i = 0; i < 100; ++i) {
    for (const Datagram& datagram : of_client) network.Deliver(DtlsRole::kServer, datagram);
    for (const Datagram& datagram : of_server) network.Deliver(DtlsRole::kClient, datagram);
    network.RunFor(seconds(2 + i));
  }
  EXPECT_EQ(network.sent(), sent) << "repeated records are replays and not answered";
  EXPECT_TRUE(network.connected());
}

// The server's last flight is late, not lost: the client repeats its own, and receives the server's twice, in
// different records. It must not answer the second, which the server would answer in turn. (OpenSSL 3.0.22
// would not either, but we do not rely on that.)
TEST(DtlsFlights, ALateFinalFlightDoesNotStartALoop) {
  DtlsNetwork network({}, {});
  Flight late;
  network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
    if (sender != DtlsRole::kServer) return;
    if (number == 1) std::swap(late, flight);
    if (number == 2) flight.insert(flight.begin(), late.begin(), late.end());
  });
  network.Start();
  network.RunFor(seconds(120));
  EXPECT_TRUE(network.connected());
  EXPECT_EQ(network.flights(DtlsRole::kClient), 3) << "ClientHello, the last flight, and its repetition";
  EXPECT_EQ(network.flights(DtlsRole::kServer), 3);
  EXPECT_EQ(network.client.counters().dropped_repeated, 1u);
}

TEST(DtlsFlights, TheServersLastFlightMayBeLostFiveTimes) {
  DtlsNetwork network({}, {});
  network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
    if (sender == DtlsRole::kServer && number >= 1 && number <= 5) flight.clear();
  });
  network.Start();
  network.RunFor(seconds(25));
  EXPECT_TRUE(network.connected());
  EXPECT_EQ(network.flights(DtlsRole::kServer), 7);
}

TEST(DtlsFlights, AServerAnswersABoundedNumberOfRepeatedFinished) {
  DtlsNetwork network({}, {});
  network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
    if (sender == DtlsRole::kServer && number >= 1) flight.clear();
  });
  network.Start();
  network.RunFor(seconds(60));
  EXPECT_EQ(network.client.failure(), DtlsFailure::kTimeout);
  EXPECT_EQ(network.server.state(), DtlsState::kConnected);
  EXPECT_LE(network.flights(DtlsRole::kServer), 2 + 8);
}

TEST(DtlsFlights, AcceptsAnyOrderWithinAFlight) {
  for (const Shape& shape : Shapes()) {
    for (unsigned seed = 0; seed < 40; ++seed) {
      std::mt19937 random(seed);
      DtlsNetwork network(shape.client, shape.server);
      network.set_treatment([&](DtlsRole, int, Flight& flight) {
        if (seed == 0) {
          std::reverse(flight.begin(), flight.end());
        } else {
          std::shuffle(flight.begin(), flight.end(), random);
        }
      });
      network.Start();
      network.RunFor(seconds(20));
      ASSERT_TRUE(network.connected()) << shape.name << ", seed " << seed;
      EXPECT_LE(network.connected_after(), kTwoTimeouts) << shape.name << ", seed " << seed;
    }
  }
}

TEST(DtlsFlights, ConnectsWithLossDuplicationAndReorderingTogether) {
  int connected = 0;
  for (const Shape& shape : Shapes()) {
    for (unsigned seed = 0; seed < 25; ++seed) {
      std::mt19937 random(seed);
      DtlsNetwork network(shape.client, shape.server);
      network.set_treatment([&](DtlsRole, int, Flight& flight) {
        const Flight copy = flight;
        for (const Datagram& datagram : copy) {
          if (random() % 100 < 20) flight.push_back(datagram);
        }
        std::shuffle(flight.begin(), flight.end(), random);
        std::erase_if(flight, [&](const Datagram&) { return random() % 100 < 15; });
      });
      network.Start();
      network.RunFor(seconds(35));
      connected += network.connected() ? 1 : 0;
    }
  }
  EXPECT_EQ(connected, 100);
}

// Recorded ClientHellos of browsers: both datagrams are needed, in any order and any number of times.
TEST(DtlsFlights, AcceptsBrowsersClientHellosInAnyOrder) {
  namespace hello = vectors::client_hello;
  const std::pair<const char*, const char*> browsers[] = {{hello::kChromiumFirst, hello::kChromiumSecond},
                                                          {hello::kFirefoxFirst, hello::kFirefoxSecond}};
  for (const auto& [first, second] : browsers) {
    for (const char* order : {"12", "21", "112", "221", "1212", "2121", "1112", "2221"}) {
      DtlsNetwork network({}, {});
      std::set<char> delivered;
      for (const char* which = order; *which != 0; ++which) {
        EXPECT_EQ(network.sent(), delivered.size() == 2 ? 1 : 0) << order << " at " << which;
        network.Deliver(DtlsRole::kServer, vectors::FromHex(*which == '1' ? first : second));
        delivered.insert(*which);
      }
      EXPECT_EQ(network.sent(), 1) << order << ": one answer, in one datagram";
      EXPECT_EQ(network.server.state(), DtlsState::kConnecting);
    }
  }
}

// Splits one ClientHello record into fragments of `size` bytes, in records with version DTLS 1.0, as browsers
// send the first ones.
Flight CutClientHello(const Datagram& whole, size_t size) {
  ByteReader reader(whole);
  reader.Skip(kDtlsRecordHeaderSize);
  const uint8_t type = reader.U8();
  const uint32_t length = reader.U24();
  reader.Skip(2 + 3 + 3);
  const ByteView body = reader.Rest();
  Flight fragments;
  for (size_t offset = 0; offset < body.size(); offset += size) {
    const ByteView part = body.subspan(offset, std::min(size, body.size() - offset));
    Datagram datagram(kDtlsRecordHeaderSize + kDtlsHandshakeHeaderSize + part.size());
    ByteWriter writer(datagram);
    writer.U8(22);
    writer.U16(0xFEFF);
    writer.U16(0);
    writer.U48(0);
    writer.U16(static_cast<uint16_t>(kDtlsHandshakeHeaderSize + part.size()));
    writer.U8(type);
    writer.U24(length);
    writer.U16(0);
    writer.U24(static_cast<uint32_t>(offset));
    writer.U24(static_cast<uint32_t>(part.size()));
    writer.Bytes(part);
    fragments.push_back(datagram);
  }
  return fragments;
}

// Renumbers the records of epoch 0, of which there are now more; those of epoch 1 are authenticated and stay.
void Renumber(Flight& flight, uint64_t& next_record) {
  for (Datagram& datagram : flight) {
    ByteView rest = datagram;
    size_t offset = 0;
    while (const auto record = NextDtlsRecord(rest)) {
      if (record->epoch == 0) ByteWriter(MutableByteView(datagram).subspan(offset + 5)).U48(next_record++);
      offset += record->bytes.size();
    }
  }
}

TEST(DtlsFlights, AcceptsClientHelloFragmentsInAnyOrderTwiceAndWithLoss) {
  for (const size_t size : {4u, 16u, 60u, 100u}) {
    for (unsigned seed = 0; seed < 20; ++seed) {
      std::mt19937 random(seed);
      DtlsNetwork network({}, {});
      size_t fragments = 0;
      uint64_t next_record = 0;
      network.set_treatment([&](DtlsRole sender, int number, Flight& flight) {
        if (sender != DtlsRole::kClient) return;
        const bool is_client_hello = flight.size() == 1 && flight[0][kDtlsRecordHeaderSize] == 1;
        if (is_client_hello) flight = CutClientHello(flight[0], size);
        Renumber(flight, next_record);
        if (!is_client_hello) return;
        fragments = flight.size();
        const Flight copy = flight;
        flight.insert(flight.end(), copy.begin(), copy.begin() + static_cast<long>(copy.size() / 2));
        std::shuffle(flight.begin(), flight.end(), random);
        if (number == 0 && seed % 2 == 1)
          flight.resize(flight.size() / 2);  // the rest arrives with the retransmission
      });
      network.Start();
      network.RunFor(seconds(10));
      EXPECT_GE(fragments, 2u);
      ASSERT_TRUE(network.connected()) << size << " bytes, seed " << seed;
      EXPECT_LE(network.connected_after(), kTwoTimeouts) << size << " bytes, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace nexus
