// Implementation of dtls_network.h, in a file that only the test program compiles.
#include "engine/dtls/dtls_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "engine/dtls/emulated_wall_clock.h"

namespace nexus {

std::shared_ptr<const DtlsCertificate> TestCertificate(DtlsRole role) {
  static const auto client = DtlsCertificate::Generate();
  static const auto server = DtlsCertificate::Generate();
  return role == DtlsRole::kClient ? client : server;
}

std::shared_ptr<const DtlsCertificate> TestRsaCertificate() {
  static const auto rsa = DtlsCertificate::GenerateRsa();
  return rsa;
}

DtlsFingerprint FingerprintFor(const DtlsCertificate& certificate) {
  return {"sha-256", certificate.fingerprint()};
}

DtlsConfig LargeClientHello() {
  DtlsConfig config;
  for (char name = 'a'; name < 'g'; ++name) config.alpn.emplace_back(240, name);
  return config;
}

namespace {

DtlsConfig Complete(DtlsConfig config, DtlsRole role, const DtlsConfig& other) {
  const DtlsRole opposite = role == DtlsRole::kClient ? DtlsRole::kServer : DtlsRole::kClient;
  config.role = role;
  if (!config.certificate) config.certificate = TestCertificate(role);
  const auto peer = other.certificate ? other.certificate : TestCertificate(opposite);
  if (config.remote_fingerprints.empty()) config.remote_fingerprints = {FingerprintFor(*peer)};
  return config;
}

}  // namespace

DtlsNetwork::DtlsNetwork(DtlsConfig client_config, DtlsConfig server_config)
    : client(Complete(client_config, DtlsRole::kClient, server_config)),
      server(Complete(server_config, DtlsRole::kServer, client_config)) {
  SetEmulatedWallClock(now_);
}

void DtlsNetwork::Start() {
  server.Start(now_);
  client.Start(now_);
  Collect(DtlsRole::kClient);
}

bool DtlsNetwork::connected() const {
  return client.state() == DtlsState::kConnected && server.state() == DtlsState::kConnected;
}

void DtlsNetwork::Collect(DtlsRole sender) {
  DtlsEndpoint& endpoint = sender == DtlsRole::kClient ? client : server;
  Flight flight;
  while (auto datagram = endpoint.PollTransmit()) flight.push_back(std::move(*datagram));
  if (flight.empty()) return;
  for (const Datagram& datagram : flight) {
    ++sent_;
    largest_ = std::max(largest_, datagram.size());
  }
  int& number = sender == DtlsRole::kClient ? client_flights_ : server_flights_;
  if (treatment_) treatment_(sender, number, flight);
  ++number;
  const DtlsRole to = sender == DtlsRole::kClient ? DtlsRole::kServer : DtlsRole::kClient;
  for (Datagram& datagram : flight) queue_.emplace(now_ + kOneWay, InFlight{to, std::move(datagram)});
}

void DtlsNetwork::AdvanceTo(Timestamp when) {
  now_ = std::max(now_, when);
  SetEmulatedWallClock(now_);
}

void DtlsNetwork::Deliver(DtlsRole to, const Datagram& datagram) {
  (to == DtlsRole::kClient ? client : server).HandleDatagram(datagram, now_);
  Collect(to);
  if (connected() && connected_at_ == kNever) connected_at_ = now_;
}

void DtlsNetwork::RunFor(Duration until) {
  const Timestamp end = kStart + until;
  while (true) {
    const Timestamp arrival = queue_.empty() ? kNever : queue_.begin()->first;
    const Timestamp deadline = std::min(client.next_deadline(), server.next_deadline());
    const Timestamp next = std::min(arrival, deadline);
    if (next > end) break;
    AdvanceTo(next);
    if (arrival <= deadline) {
      const InFlight packet = queue_.extract(queue_.begin()).mapped();
      Deliver(packet.to, packet.datagram);
      continue;
    }
    client.HandleTimeout(now_);
    Collect(DtlsRole::kClient);
    server.HandleTimeout(now_);
    Collect(DtlsRole::kServer);
  }
  AdvanceTo(end);
}

}  // namespace nexus
