// A client with hostile operations. Its connection, its reception and its feedback are the nexus::Client's.
// Its media is made by hand, so that a test can send any packet, right or wrong, and everything that it
// receives is recorded.
//
// libsrtp is its independent oracle: it opens every packet that arrives and every one that leaves, and
// libsrtp's plain packets are what is recorded. A packet on which libsrtp and the client differ
// throws, which fails the test.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "engine/rtcp/rtcp_reader.h"
#include "engine/rtcp/rtcp_writer.h"
#include "testing/emulated_peer.h"
#include "testing/srtp_witness.h"
#include "testing/test_data.h"
#include "testing/test_streams.h"

namespace nexus::testing {

class TestPeer : public EmulatedPeer {
 public:
  using Options = PeerOptions;
  using Published = PublishedStream;
  using ReceivedFrom = ReceivedStream;
  static constexpr bool kMakesMediaByHand = true;

  explicit TestPeer(PeerOptions options);

  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp now) override;
  std::vector<Datagram> TakeDatagrams() override;

  // Streams that this peer publishes or receives; known by SSRC. Owned by the peer.
  PublishedStream& Publish(const PublishedStreamOptions& options);
  ReceivedStream& Receive(Ssrc ssrc, std::optional<Ssrc> rtx_ssrc, MediaKind kind);
  void SendVideoFrame(PublishedStream& stream, Timestamp now) {
    SendVideoFrame(stream, now, stream.options.packets_per_frame);
  }
  void SendVideoFrame(PublishedStream& stream, Timestamp now, size_t packets);
  void SendAudio(PublishedStream& stream, Timestamp now, uint8_t level) {
    SendAudio(stream, now, AudioPacketOptions{.level = level});
  }
  void SendAudio(PublishedStream& stream, Timestamp now, const AudioPacketOptions& packet);
  void SendSenderReport(const PublishedStream& stream, Timestamp now);
  void SendReceiverReports(Timestamp now);
  void SendPli(Ssrc media);
  // One NACK block for each list, in one compound. The numbers need not be missing.
  void SendNacks(Ssrc media, const std::vector<std::vector<uint16_t>>& blocks);
  // Seals and sends any RTP packet.
  void SendRtp(ByteView header, ByteView payload, uint64_t index);
  // A Binding request with the right credentials that does not come from the client's ICE agent.
  std::vector<uint8_t> MakeCheck(const IceCredentials& server, bool nominate) const;
  // Data channels; their association begins when DTLS is up.
  TestData& UseData();

  uint8_t fraction_lost = 64;  // in receiver reports, of 256
  uint64_t rtp_received = 0;
  uint64_t bytes_received = 0;  // of RTP, on the wire
  uint64_t rtcp_received = 0;
  uint64_t rejected = 0;       // SRTP that did not open
  uint64_t unknown_ssrcs = 0;  // RTP of streams that were not announced

 private:
  void PumpData();
  void RecordRtp(ByteView plain, Timestamp now);
  void RecordRtcp(ByteView plain, Timestamp now);
  void Retransmit(PublishedStream& stream, uint16_t sequence);
  void SendRtcp(const RtcpCompoundWriter& writer);
  bool Publishes(Ssrc ssrc) const;
  ByteView DescriptorIn(const RtpPacketView& packet) const;
  NtpTime Ntp(Timestamp now) const { return NtpFromTimestamp(now + options().ntp_offset); }

  std::optional<SrtpWitness> witness_;
  std::deque<PublishedStream> published_;
  std::deque<ReceivedStream> received_;
  std::unique_ptr<TestData> data_;
  bool data_connected_ = false;
};

}  // namespace nexus::testing
