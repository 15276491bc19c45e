#include "testing/emulated_peer.h"

#include <random>
#include <utility>

#include "engine/rtp/demultiplexer.h"

namespace nexus::testing {
namespace {

std::string Credential(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>('a' + random() % 26);
  return text;
}

IceCredentials CredentialsOf(uint64_t seed) {
  return {Credential(seed * 2 + 1, 8), Credential(seed * 2 + 2, 24)};
}

std::vector<CodecBinding> CodecsOf(const PeerOptions& options) {
  const uint8_t first = options.first_payload_type;
  CodecBinding video;
  video.payload_type = PayloadType{first};
  video.rtx_payload_type = PayloadType{static_cast<uint8_t>(first + 1)};
  video.codec = options.video;
  video.clock_rate = 90'000;
  CodecBinding opus;
  opus.payload_type = PayloadType{static_cast<uint8_t>(first + 2)};
  opus.codec = Codec::kOpus;
  opus.clock_rate = 48'000;
  if (options.red) opus.red_payload_type = PayloadType{static_cast<uint8_t>(first + 3)};
  return {video, opus};
}

RtpExtensionIds ExtensionsOf(const PeerOptions& options) {
  RtpExtensionIds ids;
  const uint8_t id = options.first_extension_id;
  ids.Set(RtpExtension::kAudioLevel, id);
  ids.Set(RtpExtension::kAbsSendTime, id + 1);
  ids.Set(RtpExtension::kTransportSequenceNumber, id + 2);
  ids.Set(RtpExtension::kMid, id + 3);
  ids.Set(RtpExtension::kRid, id + 4);
  ids.Set(RtpExtension::kRepairedRid, id + 5);
  if (options.descriptors) ids.Set(RtpExtension::kDependencyDescriptor, id + 6);
  return ids;
}

PeerOptions WithCertificate(PeerOptions options) {
  if (options.certificate == nullptr) options.certificate = DtlsCertificate::Generate();
  return options;
}

ClientConfig WithOptions(ClientConfig config, const PeerOptions& options) {
  config.transport.ice = CredentialsOf(options.seed);
  config.transport.certificate = options.certificate;
  config.transport.srtp_profiles = options.profiles;
  config.transport.seed = options.seed;
  config.transport.dtls_role = options.dtls;
  config.seed = options.seed;
  config.codecs = CodecsOf(options);
  config.extensions = ExtensionsOf(options);
  if (!options.transport_feedback) config.extensions.Set(RtpExtension::kTransportSequenceNumber, 0);
  return config;
}

}  // namespace

EmulatedPeer::EmulatedPeer(PeerOptions options, ClientConfig config)
    : options_(WithCertificate(std::move(options))),
      local_(CredentialsOf(options_.seed)),
      client_(WithOptions(std::move(config), options_), batch_) {}

TransportSettings EmulatedPeer::Settings() const {
  TransportSettings settings;
  settings.remote = local_;
  const std::string& announced = options_.announced_fingerprint;
  settings.fingerprints = {{"sha-256", announced.empty() ? options_.certificate->fingerprint() : announced}};
  settings.dtls_role = options_.dtls == DtlsRole::kClient ? DtlsRole::kServer : DtlsRole::kClient;
  settings.codecs = CodecsOf(options_);
  settings.extensions = ExtensionsOf(options_);
  settings.forward_descriptors = options_.descriptors && options_.descriptors_to_slots;
  return settings;
}

void EmulatedPeer::Connect(const ServerDescription& server, Timestamp now) {
  server_ = server.address;
  const std::string& expected = options_.expected_fingerprint;
  std::vector<IceRemoteCandidate> candidates = options_.candidates;
  candidates.push_back({server.address, 0x7E7F00FF});
  client_.Connect({server.ice, {{"sha-256", expected.empty() ? server.fingerprint : expected}}, candidates},
                  now);
}

void EmulatedPeer::RestartIce(const IceCredentials& local, const IceCredentials& server, Timestamp now) {
  local_ = local;
  client_.RestartIce(local, server, now);
}

std::optional<Received> EmulatedPeer::GiveToClient(MutableByteView datagram, const SocketAddress& from,
                                                   Timestamp now) {
  ++datagrams_received;
  return client_.HandleDatagram(datagram, from, now, now);
}

void EmulatedPeer::HandleTimeout(Timestamp now) {
  if (!vanished_) client_.HandleTimeout(now);
}

Timestamp EmulatedPeer::NextDeadline() const { return vanished_ ? kNever : client_.NextDeadline(); }

void EmulatedPeer::Drain() {
  for (const TransmitRun& run : batch_.runs()) {
    for (uint32_t i = run.first; i != kNoPacket; i = batch_.packet(i).next) {
      const ByteView bytes(batch_.packet(i).bytes, batch_.packet(i).size);
      if (vanished_ || (checks_stopped_ && Demultiplex(bytes) == Protocol::kStun)) continue;
      outgoing_.push_back({options_.address, run.destination, {bytes.begin(), bytes.end()}});
    }
  }
  batch_.Clear();
}

std::vector<Datagram> EmulatedPeer::TakeDatagrams() {
  Drain();
  return std::exchange(outgoing_, {});
}

void EmulatedPeer::SendRaw(std::vector<uint8_t> datagram) {
  if (vanished_) return;
  Drain();
  outgoing_.push_back({options_.address, server_, std::move(datagram)});
}

}  // namespace nexus::testing
