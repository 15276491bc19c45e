// The client role of the engine: one participant's connection to an SFU, as sans-I/O as the shard. Publishes
// streams, receives streams, answers feedback and gives it, as a browser does. Datagrams in, datagrams into
// the caller's batch; no socket, no clock, no callback. The load generator runs thousands of them on one
// thread; a native SDK runs one.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "engine/client/client_transport.h"
#include "engine/client/receive_stream.h"
#include "engine/client/send_bandwidth.h"
#include "engine/client/send_stream.h"
#include "engine/forward/twcc_recorder.h"
#include "engine/media/codec_binding.h"
#include "engine/rtcp/rtcp_packet.h"

namespace nexus {

struct ClientConfig {
  ClientTransportConfig transport;
  std::vector<CodecBinding> codecs;
  RtpExtensionIds extensions;
  std::string cname = "nexus";
  Duration rtcp_interval = std::chrono::seconds(1);
  TwccRecorderConfig twcc;
  // Sampling: of this number of media packets one is opened, and the others are counted by their headers,
  // which are not authenticated then. For load generators only, which would spend their core on AES. RTX is
  // always opened, because the number that it repairs is inside, and so are streams with `opened_whole`.
  uint32_t open_one_in = 1;
  size_t max_receive_streams = 512;
  size_t max_send_streams = 64;
  size_t max_events = 256;
  uint64_t seed = 1;
  // Null: ReportedBandwidth.
  std::shared_ptr<SendBandwidth> bandwidth;
};

struct ClientStateChanged {
  ClientState state = ClientState::kNew;
  ClientEnd end = ClientEnd::kNone;
};
// The next frame of that stream's encoder must be a keyframe.
struct KeyframeRequested {
  Ssrc ssrc;
};
// Media of another participant comes on this stream from now on.
struct SourceChanged {
  Ssrc ssrc;
  uint32_t source = 0;
};
using ClientEvent = std::variant<ClientStateChanged, KeyframeRequested, SourceChanged>;

struct ClientCounters {
  uint64_t rtp_rejected = 0;   // did not open: wrong tag, replay
  uint64_t unknown_ssrcs = 0;  // of streams that were not added
  uint64_t rtcp_malformed = 0;
  uint64_t nacks_sent = 0;  // sequence numbers
  uint64_t plis_sent = 0;
  uint64_t twcc_sent = 0;  // feedback packets
  uint64_t twcc_received = 0;
  uint64_t events_dropped = 0;
};

// A media packet that arrived, and its stream.
struct Received {
  ReceiveStream* stream = nullptr;
  ReceivedMedia media;
  bool sampled = true;  // one of those that `open_one_in` chose, whatever else was opened
};

class Client {
 public:
  // `out` outlives the client.
  Client(ClientConfig config, RunBuilder& out);

  void Connect(const ClientRemote& remote, Timestamp now);
  void AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now) {
    transport_.AddRemoteCandidate(candidate, now);
  }
  bool RestartIce(IceCredentials local, IceCredentials remote, Timestamp now) {
    return transport_.RestartIce(std::move(local), std::move(remote), now);
  }

  // Opens the datagram in place; `received` is the kernel's time. Returns its media packet, if it has one.
  std::optional<Received> HandleDatagram(MutableByteView datagram, const SocketAddress& from,
                                         Timestamp received, Timestamp now);
  void HandleTimeout(Timestamp now);
  Timestamp NextDeadline() const;
  std::optional<ClientEvent> PollEvent();
  void Close();

  // Streams live as long as the client, at the same address. Null: too many.
  SendStream* AddSendStream(SendStreamConfig config);
  ReceiveStream* AddReceiveStream(const ReceiveStreamConfig& config);
  void RemoveReceiveStream(Ssrc ssrc);
  // Payload types and extensions of a later offer of the peer (RFC 9429 section 5.10).
  void SetMedia(std::vector<CodecBinding> codecs, const RtpExtensionIds& extensions) {
    config_.codecs = std::move(codecs);
    config_.extensions = extensions;
  }
  ReceiveStream* FindReceiveStream(Ssrc ssrc);
  std::optional<Codec> CodecOf(PayloadType payload_type) const;

  ClientState state() const { return transport_.state(); }
  const ClientTransport& transport() const { return transport_; }
  // For packets that belong to no stream: data channels, and packets that tests make by hand.
  ClientTransport& transport() { return transport_; }
  const ClientCounters& counters() const { return counters_; }
  const std::deque<SendStream>& send_streams() const { return send_streams_; }
  const std::vector<std::unique_ptr<ReceiveStream>>& receive_streams() const { return receive_streams_; }
  uint64_t target_bps() const { return bandwidth_->target_bps(); }
  // From receiver reports about sent streams; for a client that only receives, from ICE.
  Duration rtt() const { return rtt_.value_or(transport_.ice().rtt()); }

 private:
  std::optional<Received> HandleRtp(const IncomingRtp& incoming, Timestamp received);
  void HandleRtcp(ByteView packet, Timestamp now);
  void HandleItem(const RtcpItem& item, Timestamp now);
  void HandleReportBlocks(const ReportBlocks& blocks, Timestamp now);
  bool SamplesThisOne();
  void NoteState(Timestamp now);
  void NoteKeyframeRequest(SendStream& stream);
  void SendFeedback(Timestamp now);
  void SendReports(Timestamp now);
  void WriteNacks(ReceiveStream& stream, RtcpCompoundWriter& writer, Timestamp now);
  void Flush(RtcpCompoundWriter& writer);
  void Push(ClientEvent event);
  SendStream* FindSendStream(Ssrc ssrc);
  Timestamp FeedbackDeadline() const;
  PayloadType MediaPayloadType(PayloadType rtx) const;

  ClientConfig config_;
  ClientTransport transport_;
  TwccRecorder twcc_;
  std::shared_ptr<SendBandwidth> bandwidth_;
  SendPath send_path_;
  std::deque<SendStream> send_streams_;
  std::vector<std::unique_ptr<ReceiveStream>> receive_streams_;
  struct Incoming {
    ReceiveStream* stream;
    bool rtx;
  };
  std::unordered_map<Ssrc, Incoming> by_ssrc_;
  std::deque<ClientEvent> events_;
  std::optional<Duration> rtt_;
  Ssrc local_ssrc_;  // of our feedback
  Ssrc last_media_ssrc_;
  ClientState reported_state_ = ClientState::kNew;
  Timestamp next_report_ = kNever;
  uint32_t sampled_ = 0;
  ClientCounters counters_;
};

}  // namespace nexus
