// One participant's association on this shard: ICE, DTLS and consent of its one connection. Its members do
// the rest: RtpReceiver (the tracks that the peer publishes), SubscriberSlots and MediaSender (those that it
// receives), FeedbackWriter (RTCP to it), SctpOverDtls (its data channels).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/event.h"
#include "engine/dtls/dtls_endpoint.h"
#include "engine/ice/ice_lite.h"
#include "engine/rtcp/rtcp_reader.h"
#include "engine/transport/feedback_writer.h"
#include "engine/transport/rtp_receiver.h"
#include "engine/transport/sctp_over_dtls.h"

namespace nexus {

std::string_view SrtpProfileName(
    SrtpProfile profile);  // as in RFC 5764 section 4.1.2 and RFC 7714 section 14.2

class Transport final : public TrackPublisher {
 public:
  Transport(ShardContext& context, FanOut& fan_out, DataRouter& data_router, const CreateTransport& command,
            Timestamp now);
  ~Transport() override;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // The caller keeps the map of addresses: one that is authenticated is added, `evicted` is taken out.
  IceStunOutcome HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  // The following accept only datagrams from validated addresses (hard problem 13).
  void HandleDtls(ByteView datagram, const SocketAddress& from, Timestamp now);
  void HandleRtp(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  void HandleRtcp(MutableByteView datagram, const SocketAddress& from, Timestamp now);
  void HandleTimeout(Timestamp now);
  void OnPathLost(const SocketAddress& address, Timestamp now);
  // Recomputes this transport's deadline.
  void Schedule() override;
  bool Speaks(ParticipantNumber owner, Timestamp now) const override { return receiver_.Speaks(owner, now); }

  // Set once; the owner then removes the transport and reports the reason.
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
  void ConfigureData(const DataSettings& settings, Timestamp now);

  // Null, with a reason, when it is refused.
  PublishedTrack* AddTrack(TrackId track, const TrackSettings& settings, std::string_view& refusal) {
    return receiver_.AddTrack(track, settings, refusal);
  }
  void RemoveTrack(PublishedTrack& track);
  SubscriberSlot* AddSlot(SlotId slot, const SlotSettings& settings, Timestamp now,
                          std::string_view& refusal) {
    return slots_.Add(slot, settings, now, refusal);
  }
  void RemoveSlot(SubscriberSlot& slot) { slots_.Remove(slot); }
  // Allocates bandwidth with the next tick, because what slots show has changed.
  void AllocateSoon() { schedule_.AllocateSoon(); }

  TransportId id() const override { return id_; }
  RoomId room() const override { return room_; }
  TransportState state() const { return state_; }
  // True while media may be sent to the peer.
  bool ready() const { return sender_.ready(); }
  const IceLite& ice() const { return ice_; }
  const std::vector<std::unique_ptr<PublishedTrack>>& tracks() const { return receiver_.tracks(); }
  const std::vector<std::unique_ptr<SubscriberSlot>>& slots() const { return slots_.all(); }
  AudioSubscription& audio() { return audio_; }
  size_t ssrc_count() const { return receiver_.ssrc_count(); }
  TransportStats Stats() const;
  TransportChanged Changed(TransportState state, std::string reason) const;

  // Local usernames of its connectivity checks, oldest first; keys of the shard's map.
  const std::vector<std::string>& ufrags() const { return ufrags_; }
  void ForgetOldestUfrag() { ufrags_.erase(ufrags_.begin()); }

 private:
  void StartDtls(Timestamp now);
  void PumpDtls(Timestamp now);
  void OnDtlsConnected(Timestamp now);
  void ChangeState(TransportState state, std::string reason);
  void CheckConsent(Timestamp now);
  // A packet from this address was authentic and no replay.
  void NoteTraffic(const SocketAddress& from, Timestamp now) {
    ice_.NoteTraffic(from, now);
    if (state_ == TransportState::kDisconnected) CheckConsent(now);
  }
  // Expired consent is not renewed by checks under the same credentials (RFC 7675 section 5.1), only by an
  // ICE restart and a nomination. Unless consent is strict, a transport without consent ends.
  enum class Consent : uint8_t { kGiven, kExpired, kRestarting };
  void SetConsent(Consent consent);
  bool MaySend() const { return consent_ == Consent::kGiven; }
  Timestamp DisconnectedAt() const;
  Timestamp NextDeadline() const;

  void HandleRtcpItem(const RtcpItem& item, Timestamp now);
  void HandleReportBlocks(const ReportBlocks& blocks, Timestamp now);

  // To be called after every change of the estimate.
  void OnEstimate(Timestamp now);
  // Sends queued packets and probes that are due.
  void PumpSending(Timestamp now);

  ShardContext& context_;
  DataRouter& data_router_;
  TransportId id_;
  RoomId room_;
  std::vector<std::string> ufrags_;
  std::vector<DtlsFingerprint> fingerprints_;
  DtlsRole dtls_role_;
  NegotiatedMedia negotiated_;
  IceLite ice_;
  std::optional<DtlsEndpoint> dtls_;
  Consent consent_ = Consent::kGiven;
  TransportState state_ = TransportState::kNew;
  std::optional<Ending> ending_;
  Timestamp connect_deadline_;

  TransportSchedule schedule_;
  AudioSubscription audio_;
  MediaSender sender_;
  RtpReceiver receiver_;
  FeedbackWriter feedback_;
  SubscriberSlots slots_;
  SctpOverDtls data_;
};

}  // namespace nexus
