// A whole client for tests, as sans-I/O as the shard: controlling ICE, DTLS client, SRTP; publishes VP8 and
// Opus and keeps what it receives.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "engine/control/command.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/forward/twcc_recorder.h"
#include "engine/ice/ice_controlling.h"
#include "engine/rtcp/rtcp_reader.h"
#include "engine/rtcp/rtcp_writer.h"
#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_sealer.h"
#include "testing/emulated_network.h"
#include "testing/test_data.h"
#include "testing/test_streams.h"

namespace nexus::testing {

struct TestPeerOptions {
  SocketAddress address;
  std::string name = "peer";
  uint64_t seed = 1;
  std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  Codec video = Codec::kVp8;         // what it says that it has; what it makes is VP8
  uint8_t first_payload_type = 96;   // VP8, its RTX, Opus follow one another
  bool red = false;                  // has redundant audio, behind Opus
  uint8_t first_extension_id = 1;    // audio level, abs-send-time, TWCC, MID follow one another
  bool descriptors = false;          // knows dependency descriptors, behind the other extensions
  bool descriptors_to_slots = true;  // has negotiated them for its slots too
  Duration ntp_offset{0};            // of the peer's wall clock
  std::shared_ptr<const DtlsCertificate> certificate;
  IceControllingConfig ice;
  DtlsRole dtls = DtlsRole::kClient;
  bool transport_feedback = true;  // of what it receives (TWCC)
  bool receiver_reports = true;
};

// What an answer says of the server.
struct ServerDescription {
  IceCredentials ice;
  std::string fingerprint;  // sha-256
  SocketAddress address;
};

class TestPeer {
 public:
  explicit TestPeer(TestPeerOptions options);

  // What signaling would say about this peer, in both directions.
  TransportSettings Settings() const;
  void Connect(const ServerDescription& server, Timestamp now);

  // ICE begins anew with these credentials of its own and of the server.
  void RestartIce(const IceCredentials& local, const IceCredentials& server, Timestamp now);

  void HandleDatagram(ByteView datagram, Timestamp now);
  void HandleTimeout(Timestamp now);
  Timestamp NextDeadline() const;
  std::vector<Datagram> TakeDatagrams();

  bool connected() const { return dtls_ && dtls_->state() == DtlsState::kConnected; }
  const SocketAddress& address() const { return options_.address; }
  const TestPeerOptions& options() const { return options_; }
  std::optional<SrtpProfile> profile() const;

  // Streams that this peer publishes or receives; known by SSRC. Owned by the peer.
  PublishedStream& Publish(const PublishedStreamOptions& options);
  ReceivedStream& Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind);
  void SendVideoFrame(PublishedStream& stream, Timestamp now, size_t packets = 3);
  void SendAudio(PublishedStream& stream, Timestamp now, uint8_t level) {
    SendAudio(stream, now, AudioPacketOptions{.level = level});
  }
  void SendAudio(PublishedStream& stream, Timestamp now, const AudioPacketOptions& packet);
  PayloadType red_payload_type() const {
    return PayloadType{static_cast<uint8_t>(options_.first_payload_type + 3)};
  }
  void SendSenderReport(const PublishedStream& stream, Timestamp now);
  void SendReceiverReports(Timestamp now);
  void SendPli(Ssrc media);
  // One NACK block for each list, in one compound: they need not tell the truth.
  void SendNacks(Ssrc media, const std::vector<std::vector<uint16_t>>& blocks);
  // Any RTP packet, sealed: for hostile tests.
  void SendRtp(ByteView header, ByteView payload, uint64_t index);
  void SendRaw(std::vector<uint8_t> datagram);
  // Data channels; their association begins when DTLS is up.
  TestData& UseData();
  void Close();
  // Another address from now on, without knowing it: a NAT gave it a new one, or the path goes by another
  // way.
  void MoveTo(const SocketAddress& address) { options_.address = address; }
  // Everything stops, as when a laptop is shut.
  void Vanish() { vanished_ = true; }
  // Checks stop and everything else goes on, as with clients that keep a path by indications or by media.
  void StopChecks() { checks_stopped_ = true; }
  void ResumeChecks() { checks_stopped_ = false; }

  uint8_t fraction_lost = 64;  // what receiver reports tell, of 256
  uint64_t datagrams_received = 0;
  uint64_t rtp_received = 0;
  uint64_t bytes_received = 0;  // of RTP, on the wire
  uint64_t rtcp_received = 0;
  uint64_t rejected = 0;       // SRTP that did not open
  uint64_t unknown_ssrcs = 0;  // RTP of streams that were not promised

 private:
  void PumpDtls();
  void PumpData();
  void HandleRtp(std::vector<uint8_t> datagram, Timestamp now);
  void HandleRtcp(std::vector<uint8_t> datagram, Timestamp now);
  void SendNacks(Timestamp now);
  void SendTransportFeedback(Timestamp now);
  void SendRtcp(const RtcpCompoundWriter& writer);
  NtpTime Ntp(Timestamp now) const { return NtpFromTimestamp(now + options_.ntp_offset); }

  TestPeerOptions options_;
  IceCredentials local_;
  SocketAddress server_;
  std::optional<IceControlling> ice_;
  std::optional<DtlsEndpoint> dtls_;
  std::optional<SrtpOpener> opener_;
  std::optional<SrtpSealer> sealer_;
  std::deque<PublishedStream> published_;
  std::deque<ReceivedStream> received_;
  std::unique_ptr<TestData> data_;
  bool data_connected_ = false;
  std::vector<Datagram> outgoing_;
  TwccRecorder twcc_;
  Timestamp next_nack_{};
  bool vanished_ = false;
  bool checks_stopped_ = false;
};

}  // namespace nexus::testing
