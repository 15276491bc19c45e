// One peer: ICE, DTLS and SRTP of its one connection, the tracks that it publishes and the slots that it
// receives. Split by direction: transport.cc (life, STUN, DTLS, timers), transport_rtp.cc (RTP in),
// transport_rtcp.cc (RTCP in), transport_feedback.cc (RTCP out), transport_send.cc (media out),
// transport_data.cc (data channels).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/audio/slot_placement.h"
#include "engine/control/report.h"
#include "engine/data/data_peer.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/forward/assembler.h"
#include "engine/forward/retransmission_budget.h"
#include "engine/forward/twcc_recorder.h"
#include "engine/ice/ice_lite.h"
#include "engine/media/codec_table.h"
#include "engine/publish/published_track.h"
#include "engine/publish/track_publisher.h"
#include "engine/rtcp/rtcp_reader.h"
#include "engine/srtp/srtp_opener.h"
#include "engine/srtp/srtp_sealer.h"
#include "engine/subscribe/send_control.h"
#include "engine/subscribe/subscriber_slot.h"

namespace nexus {

class Room;

std::string_view SrtpProfileName(
    SrtpProfile profile);  // as in RFC 5764 section 4.1.2 and RFC 7714 section 14.2

class Transport final : public TrackPublisher {
 public:
  Transport(ShardContext& context, Room& room, const CreateTransport& command, Timestamp now);
  ~Transport() override;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // The caller keeps the map of addresses: one that is authenticated is added, `evicted` is taken out.
  IceStunOutcome HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  // Only from validated addresses (hard problem 13).
  void HandleDtls(ByteView datagram, const SocketAddress& from, Timestamp now);
  void HandleRtp(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  void HandleRtcp(MutableByteView datagram, const SocketAddress& from, Timestamp now);
  void HandleTimeout(Timestamp now);
  void OnPathLost(const SocketAddress& address, Timestamp now);
  // Moves this transport's entry among the shard's deadlines to where it belongs now.
  void Schedule() override;
  bool Speaks(ParticipantNumber owner, Timestamp now) const override;

  // Set once: the owner removes the transport and tells why.
  struct Ending {
    TransportState state;
    std::string reason;
  };
  const std::optional<Ending>& ending() const { return ending_; }
  void End(TransportState state, std::string reason);
  // Sends close_notify when there is a connection.
  void Shutdown();

  void Update(const UpdateTransport& update);
  bool RestartIce(const IceCredentials& local, const IceCredentials& remote, Timestamp now);

  // Data channels (transport_data.cc).
  void ConfigureData(const DataSettings& settings, Timestamp now);
  void SendDataPacket(ByteView packet);
  // At once, whatever waits: the association ends.
  void SealData(ByteView packet);
  const DataPeer* data() const { return data_.get(); }

  // Null, with a reason, when it cannot be.
  PublishedTrack* AddTrack(TrackId id, const TrackSettings& settings, std::string_view& refusal);
  void RemoveTrack(PublishedTrack& track);
  SubscriberSlot* AddSlot(SlotId id, const SlotSettings& settings, Timestamp now, std::string_view& refusal);
  void RemoveSlot(SubscriberSlot& slot);
  void SetPreferences(SubscriberSlot& slot, const SlotPreferences& preferences, Timestamp now);
  // What slots show has changed: the bandwidth is shared out anew with the next tick.
  void AllocateSoon();

  // What sending to this peer looks at; see SubscriberSlot.
  void PrefetchPointers() const;
  void PrefetchForSending() const;
  // What its path carries is not measured yet, but will be.
  bool guesses() const { return send_->has_transport_feedback && !send_->estimator.measured(); }
  bool ready() const { return sealer_.has_value() && ice_.selected().has_value() && MaySend(); }
  // Media to this peer. The bytes on the wire, 0 when it was dropped and counted.
  size_t SendMedia(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                   Timestamp now, ByteView red_prefix = {});
  size_t SendRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  // Sent at once, whatever waits: a retransmission, or padding alone on a retransmission stream.
  size_t SealRtx(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                 int64_t rtx_sequence, Timestamp now);
  size_t SealPadding(const OutgoingStream& stream, int64_t rtx_sequence, Timestamp now);
  // The same on the media's own stream, for peers without retransmissions.
  size_t SealMediaPadding(const OutgoingStream& stream, const Rewritten& rewritten, Timestamp now);
  // What waits of a slot is overtaken by what it shows next, a keyframe or nothing.
  void DropWaiting(Ssrc ssrc);
  // A sender report within a few milliseconds: a slot has begun to send.
  void ReportSoon(Timestamp now);

  // What NACKs may cost; slots ask it.
  RetransmissionBudget retransmissions;

  TransportId id() const override { return id_; }
  Room& room() const override { return room_; }
  TransportState state() const { return state_; }
  const IceLite& ice() const { return ice_; }
  const CodecTable& codecs() const { return codecs_; }
  // The header extensions that slots send.
  RtpExtensionIds slot_extension_ids() const;
  const SendControl& send_control() const { return *send_; }
  DtlsRole dtls_role() const { return settings_.dtls_role; }
  Duration rtt() const { return rtt_.value_or(kAssumedRtt); }
  const std::vector<std::unique_ptr<PublishedTrack>>& tracks() const { return tracks_; }
  const std::vector<std::unique_ptr<SubscriberSlot>>& slots() const { return slots_; }
  std::unordered_set<TrackId>& unsubscribed() { return unsubscribed_; }
  SlotPlacement& audio_placement() { return audio_placement_; }
  const std::unordered_set<TrackId>& unsubscribed() const { return unsubscribed_; }
  size_t ssrc_count() const { return ssrcs_.size(); }
  TransportReport Report() const;
  TransportChanged Changed(TransportState state, std::string reason) const;

  // Which choice of the room this peer's audio slots follow, and whether its slots or wishes changed since.
  uint64_t audio_choice = 0;
  bool audio_placement_stale = true;

  // Usernames under which checks for this transport come; the shard's map follows it.
  std::vector<std::string> ufrags;

 private:
  static constexpr Duration kAssumedRtt = std::chrono::milliseconds(100);  // until a report block tells
  struct SsrcBinding {
    PublishedLayer* layer = nullptr;
    bool rtx = false;
  };

  // transport.cc
  void StartDtls(Timestamp now);
  void PumpDtls(Timestamp now);
  void OnDtlsConnected(Timestamp now);
  void ReadData(Timestamp now);
  void ChangeState(TransportState state, std::string reason);
  void CheckConsent(Timestamp now);
  // What came from there has passed authentication and was no replay.
  void NoteTraffic(const SocketAddress& from, Timestamp now) {
    ice_.NoteTraffic(from, now);
    if (state_ == TransportState::kDisconnected) CheckConsent(now);
  }
  bool MaySend() const { return consent_ == Consent::kGiven; }
  Timestamp DisconnectedAt() const;
  Timestamp NextDeadline() const;
  // Measured by report blocks, else by how fast NACKs are answered: who only publishes reports nothing.
  Duration RttTo(const PublishedLayer& layer) const;

  // transport_rtp.cc
  SsrcBinding Resolve(const RtpHeader& header, const IncomingExtensions& extensions, Timestamp now);
  SsrcBinding Learn(const RtpHeader& header, const IncomingExtensions& extensions, Timestamp now);
  PublishedTrack* TrackByMid(std::string_view mid) const;
  PublishedTrack* TrackByPayloadType(PayloadType type) const;
  void HandleMedia(PublishedLayer& layer, const RtpPacketView& packet, const IncomingExtensions& extensions,
                   Timestamp received, Timestamp now, bool repaired);
  // Lost audio that `red` brings back goes out in front of its primary.
  void RouteRecovered(PublishedLayer& layer, const RedPacket& red, const SourcePacket& primary,
                      Timestamp now);
  void HandleRetransmission(PublishedLayer& layer, const RtpPacketView& packet, Timestamp received,
                            Timestamp now);
  void ForgetLayer(const PublishedLayer& layer);

  // transport_rtcp.cc
  void HandleRtcpItem(const RtcpItem& item, Timestamp now);
  void HandleReportBlocks(const ReportBlocks& blocks, Timestamp now);
  SubscriberSlot* SlotBySsrc(Ssrc ssrc) const;

  // transport_feedback.cc
  void SendFeedback(Timestamp now);
  void SendReports(Timestamp now);
  void BeginCompound(RtcpCompoundWriter& writer) const;
  void SendRtcp(RtcpCompoundWriter& writer);
  void WriteNacks(PublishedLayer& layer, RtcpCompoundWriter& writer, Timestamp now);
  void WriteTwcc(RtcpCompoundWriter& writer, Timestamp now);

  // transport_send.cc
  size_t Seal(const OutgoingPacket& packet, uint64_t index, Timestamp now);
  size_t SealPadding(OutgoingRtpHeader& header, uint64_t index, Timestamp now);
  size_t SealMedia(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
                   Timestamp now, ByteView red_prefix = {});

  // transport_pacing.cc
  void OnEstimate(Timestamp now);
  bool Hold(const OutgoingStream& stream, const SourcePacket& packet, const Rewritten& rewritten,
            std::optional<int64_t> rtx_sequence, Timestamp now);
  size_t SendQueued(const QueuedPacket& waiting, Timestamp now);
  void PumpSending(Timestamp now);
  void PumpProbes(Timestamp now);
  size_t SendPadding(Timestamp now);
  Timestamp NextSendDeadline() const;

  // transport_allocation.cc
  void Allocate(Timestamp now);
  void AllocateAfterEstimate(Timestamp now);
  void CollectDemands(Timestamp now);

  ShardContext& context_;
  Room& room_;
  TransportId id_;
  TransportSettings settings_;
  CodecTable codecs_;
  RtpExtensionIds extensions_;
  bool forward_descriptors_;
  IceLite ice_;
  std::optional<DtlsEndpoint> dtls_;
  std::optional<SrtpOpener> opener_;
  std::optional<SrtpSealer> sealer_;
  // Consent that has expired is not renewed by checks under the same credentials (RFC 7675 section 5.1):
  // first ICE restarts, then an address is nominated. Unless consent is strict, a transport without it has
  // ended.
  enum class Consent : uint8_t { kGiven, kExpired, kRestarting };
  Consent consent_ = Consent::kGiven;
  RunCursor cursor_;
  RunCursor data_cursor_;
  TransportState state_ = TransportState::kNew;
  std::optional<Ending> ending_;
  Timestamp connect_deadline_;

  std::vector<std::unique_ptr<PublishedTrack>> tracks_;
  std::vector<std::unique_ptr<SubscriberSlot>> slots_;
  std::unordered_map<Ssrc, SsrcBinding> ssrcs_;
  std::unordered_map<Ssrc, SubscriberSlot*> slots_by_ssrc_;
  std::unordered_set<TrackId> unsubscribed_;
  SlotPlacement audio_placement_;

  RemoteClockOffset remote_clock_;
  TwccRecorder twcc_;
  Ssrc last_media_ssrc_;
  std::unique_ptr<SendControl> send_;
  Ssrc local_ssrc_;
  std::string cname_;
  Timestamp next_report_ = kNever;
  Timestamp last_timeout_{};
  std::optional<Duration> rtt_;
  Deadline deadline_{this};

  std::unique_ptr<DataPeer> data_;

  uint64_t packets_in_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t packets_out_ = 0;
  uint64_t bytes_out_ = 0;
};

}  // namespace nexus
