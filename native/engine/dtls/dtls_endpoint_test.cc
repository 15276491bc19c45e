// The handshake of two endpoints: SRTP profiles, fingerprints, timeouts, and hostile datagrams.
#include "engine/dtls/dtls_endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <random>

#include "engine/dtls/dtls_network.h"
#include "engine/dtls/dtls_record.h"

namespace nexus {
namespace {

using std::chrono::seconds;

void ExpectSameKeys(const DtlsNetwork& network, SrtpProfile profile) {
  ASSERT_TRUE(network.connected());
  const SrtpKeys& client = *network.client.srtp_keys();
  const SrtpKeys& server = *network.server.srtp_keys();
  EXPECT_EQ(client.profile, profile);
  EXPECT_EQ(server.profile, profile);
  EXPECT_EQ(client.client.key, server.client.key);
  EXPECT_EQ(client.server.key, server.server.key);
  EXPECT_EQ(client.client.salt, server.client.salt);
  EXPECT_EQ(client.server.salt, server.server.salt);
  EXPECT_NE(client.client.key, client.server.key);
  EXPECT_NE(client.client.salt, client.server.salt);
}

TEST(DtlsEndpoint, AgreesOnGcmFirst) {
  DtlsNetwork network({}, {});
  network.Start();
  network.RunFor(seconds(1));
  ExpectSameKeys(network, SrtpProfile::kAeadAes128Gcm);
  EXPECT_EQ(network.connected_after(), 4 * DtlsNetwork::kOneWay);
  EXPECT_EQ(network.server.next_deadline(), kNever);
  EXPECT_EQ(network.client.next_deadline(), kNever);
}

TEST(DtlsEndpoint, ServerPreferenceDecidesTheProfile) {
  DtlsConfig client;
  client.profiles = {SrtpProfile::kAes128CmHmacSha1_80, SrtpProfile::kAeadAes128Gcm};
  DtlsNetwork network(client, {});
  network.Start();
  network.RunFor(seconds(1));
  ExpectSameKeys(network, SrtpProfile::kAeadAes128Gcm);
}

TEST(DtlsEndpoint, FallsBackToTheOnlyCommonProfile) {
  DtlsConfig client;
  client.profiles = {SrtpProfile::kAes128CmHmacSha1_80};
  DtlsNetwork network(client, {});
  network.Start();
  network.RunFor(seconds(1));
  ExpectSameKeys(network, SrtpProfile::kAes128CmHmacSha1_80);
  EXPECT_TRUE(std::any_of(network.server.srtp_keys()->client.salt.begin() + 12,
                          network.server.srtp_keys()->client.salt.end(),
                          [](uint8_t byte) { return byte != 0; }))
      << "a salt of 14 bytes was cut to 12 (or the two bytes are zero by a chance of 1 in 65536)";
}

TEST(DtlsEndpoint, NoCommonProfileIsAProtocolFailure) {
  DtlsConfig client;
  DtlsConfig server;
  client.profiles = {SrtpProfile::kAes128CmHmacSha1_80};
  server.profiles = {SrtpProfile::kAeadAes128Gcm};
  DtlsNetwork network(client, server);
  network.Start();
  network.RunFor(seconds(40));
  EXPECT_EQ(network.server.state(), DtlsState::kFailed);
  EXPECT_EQ(network.server.failure(), DtlsFailure::kProtocol);
  EXPECT_NE(network.client.state(), DtlsState::kConnected);
  EXPECT_FALSE(network.server.srtp_keys());
}

TEST(DtlsEndpoint, AcceptsARsaPeerInEitherRole) {
  for (const DtlsRole role : {DtlsRole::kClient, DtlsRole::kServer}) {
    DtlsConfig rsa;
    rsa.certificate = TestRsaCertificate();
    DtlsNetwork network = role == DtlsRole::kClient ? DtlsNetwork(rsa, {}) : DtlsNetwork({}, rsa);
    network.Start();
    network.RunFor(seconds(1));
    ExpectSameKeys(network, SrtpProfile::kAeadAes128Gcm);
    EXPECT_LE(network.largest(), 1200u);
  }
}

TEST(DtlsEndpoint, ComparesFingerprintsIgnoringCaseAndAcceptsAnyOfSeveral) {
  DtlsFingerprint lower = FingerprintFor(*TestCertificate(DtlsRole::kClient));
  std::transform(lower.value.begin(), lower.value.end(), lower.value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  lower.algorithm = "SHA-256";
  DtlsConfig server;
  server.remote_fingerprints = {
      {"sha-1", "AA:BB"}, FingerprintFor(*TestCertificate(DtlsRole::kServer)), lower};
  DtlsNetwork network({}, server);
  network.Start();
  network.RunFor(seconds(1));
  EXPECT_TRUE(network.connected());
}

TEST(DtlsEndpoint, ServerRefusesAnotherFingerprint) {
  DtlsConfig server;
  server.remote_fingerprints = {FingerprintFor(*TestCertificate(DtlsRole::kServer))};
  DtlsNetwork network({}, server);
  network.Start();
  network.RunFor(seconds(40));
  EXPECT_EQ(network.server.state(), DtlsState::kFailed);
  EXPECT_EQ(network.server.failure(), DtlsFailure::kFingerprintMismatch);
  EXPECT_FALSE(network.server.srtp_keys());
  EXPECT_EQ(network.client.failure(), DtlsFailure::kAlert);
}

TEST(DtlsEndpoint, ClientRefusesAnotherFingerprint) {
  DtlsConfig client;
  client.remote_fingerprints = {FingerprintFor(*TestCertificate(DtlsRole::kClient))};
  DtlsNetwork network(client, {});
  network.Start();
  network.RunFor(seconds(40));
  EXPECT_EQ(network.client.failure(), DtlsFailure::kFingerprintMismatch);
  EXPECT_EQ(network.server.failure(), DtlsFailure::kAlert);
}

TEST(DtlsEndpoint, RejectsWeakHashes) {
  DtlsConfig server;
  server.remote_fingerprints = {{"sha-1", FingerprintFor(*TestCertificate(DtlsRole::kClient)).value},
                                {"sha-256", ""}};
  DtlsNetwork network({}, server);
  network.Start();
  network.RunFor(seconds(5));
  EXPECT_EQ(network.server.failure(), DtlsFailure::kFingerprintMismatch);
}

TEST(DtlsEndpoint, CloseNotifyClosesThePeerToo) {
  DtlsNetwork network({}, {});
  network.Start();
  network.RunFor(seconds(1));
  ASSERT_TRUE(network.connected());
  network.server.Close();
  EXPECT_EQ(network.server.state(), DtlsState::kClosed);
  auto alert = network.server.PollTransmit();
  ASSERT_TRUE(alert);
  network.Deliver(DtlsRole::kClient, *alert);
  EXPECT_EQ(network.client.state(), DtlsState::kClosed);
  EXPECT_EQ(network.client.failure(), DtlsFailure::kNone);
}

TEST(DtlsEndpoint, SilenceEndsInATimeoutWithFewDatagrams) {
  DtlsNetwork network({}, {});
  network.set_treatment([](DtlsRole, int, Flight& flight) { flight.clear(); });
  network.Start();
  network.RunFor(seconds(29));
  EXPECT_EQ(network.client.state(), DtlsState::kConnecting);
  network.RunFor(seconds(31));
  EXPECT_EQ(network.client.state(), DtlsState::kFailed);
  EXPECT_EQ(network.client.failure(), DtlsFailure::kTimeout);
  EXPECT_EQ(network.server.failure(), DtlsFailure::kTimeout);
  EXPECT_GE(network.sent(), 8);
  EXPECT_LE(network.sent(), 13);
  EXPECT_EQ(network.client.next_deadline(), kNever);
}

TEST(DtlsEndpoint, AServerThatWasNotStartedHasNoDeadline) {
  DtlsConfig config;
  config.certificate = TestCertificate(DtlsRole::kServer);
  DtlsEndpoint server(config);
  EXPECT_EQ(server.state(), DtlsState::kNew);
  EXPECT_EQ(server.next_deadline(), kNever);
  server.HandleTimeout(TimestampFromMicros(1));
  EXPECT_EQ(server.state(), DtlsState::kNew);
}

TEST(DtlsEndpoint, FailsAtOnceWithoutACertificate) {
  DtlsEndpoint broken{DtlsConfig{}};
  EXPECT_EQ(broken.state(), DtlsState::kFailed);
  broken.Start(TimestampFromMicros(0));
  broken.HandleDatagram(std::vector<uint8_t>(40, 22), TimestampFromMicros(0));
  broken.Close();
  EXPECT_EQ(broken.state(), DtlsState::kFailed);
}

Datagram Garbage(std::mt19937& random, bool like_a_record) {
  Datagram bytes(1 + random() % 200);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  if (like_a_record && bytes.size() > 13) {
    bytes[0] = static_cast<uint8_t>(20 + random() % 4);
    bytes[1] = 0xFE;
    bytes[2] = 0xFD;
    bytes[3] = 0;
    bytes[4] = static_cast<uint8_t>(random() % 2);
    bytes[11] = 0;
    bytes[12] = static_cast<uint8_t>(bytes.size() - 13);
  }
  return bytes;
}

TEST(DtlsEndpoint, IgnoresTenThousandGarbageDatagramsAtAnyTime) {
  std::mt19937 random(7);
  for (const bool like_a_record : {false, true}) {
    DtlsNetwork network({}, {});
    for (int i = 0; i < 10'000; ++i) network.Deliver(DtlsRole::kServer, Garbage(random, like_a_record));
    EXPECT_EQ(network.sent(), 0);
    network.set_treatment([&](DtlsRole sender, int, Flight& flight) {
      if (sender != DtlsRole::kClient) return;
      Flight noisy;
      for (Datagram& datagram : flight) {
        for (int i = 0; i < 100; ++i) noisy.push_back(Garbage(random, like_a_record));
        noisy.push_back(std::move(datagram));
      }
      flight = std::move(noisy);
    });
    network.Start();
    network.RunFor(seconds(1));
    ASSERT_TRUE(network.connected());
    const int sent = network.sent();
    for (int i = 0; i < 10'000; ++i) network.Deliver(DtlsRole::kServer, Garbage(random, like_a_record));
    EXPECT_EQ(network.sent(), sent);
    EXPECT_EQ(network.server.state(), DtlsState::kConnected);
    const DtlsCounters& counters = network.server.counters();
    EXPECT_GT(counters.dropped_not_dtls + counters.dropped_implausible, like_a_record ? 5'000u : 19'000u);
  }
}

// Regression: records too short for nonce and tag, of every type, before and after the keys are known, ended
// the connection.
TEST(DtlsEndpoint, IgnoresForgedRecordsTooShortToBeEncrypted) {
  DtlsNetwork network({}, {});
  Flight forged;
  for (uint8_t type = 20; type <= 23; ++type) {
    for (uint8_t size = 0; size < kDtlsMinSealedSize; ++size) {
      Datagram record = {type, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 1, size, 0, size};
      record.resize(record.size() + size, 0x5A);
      forged.push_back(std::move(record));
    }
  }
  network.set_treatment([&](DtlsRole sender, int, Flight& flight) {
    if (sender == DtlsRole::kClient) flight.insert(flight.begin(), forged.begin(), forged.end());
  });
  network.Start();
  network.RunFor(seconds(1));
  ASSERT_TRUE(network.connected());
  for (const Datagram& record : forged) network.Deliver(DtlsRole::kServer, record);
  EXPECT_EQ(network.server.state(), DtlsState::kConnected);
  EXPECT_GE(network.server.counters().dropped_implausible, 3 * forged.size());
}

TEST(DtlsEndpoint, OutputQueueIsBounded) {
  DtlsConfig client = LargeClientHello();
  client.max_queued = 3;
  client.role = DtlsRole::kClient;
  client.certificate = TestCertificate(DtlsRole::kClient);
  DtlsNetwork clock({}, {});  // sets the wall clock
  DtlsEndpoint endpoint(client);
  endpoint.Start(clock.now());  // two datagrams, which are not polled
  clock.RunFor(std::chrono::milliseconds(300));
  endpoint.HandleTimeout(clock.now());
  EXPECT_EQ(endpoint.counters().retransmit_timeouts, 1u);
  EXPECT_EQ(endpoint.counters().dropped_queue_full, 1u);
  int polled = 0;
  while (endpoint.PollTransmit()) ++polled;
  EXPECT_EQ(polled, 3);
}

}  // namespace
}  // namespace nexus
