#include "engine/transport/transport.h"

#include <algorithm>

#include "engine/base/overloaded.h"
#include "engine/data/data_router.h"

namespace nexus {
namespace {

// Share of the consent timeout after which a peer counts as disconnected: two checks of RFC 7675 section 5.1
// may be lost.
constexpr int kDisconnectedShare = 2;
// Maximum number of application data records of one datagram.
constexpr size_t kMaxDataRecords = 64;
// Granularity of deadlines that may be a little late. All transports of a shard share them, because waking
// the thread costs more than the work done.
constexpr Duration kLaxGranularity{10'000};

Timestamp WithOthers(Timestamp at) {
  if (at == kNever) return at;
  const Duration beyond = at.time_since_epoch() % kLaxGranularity;
  return beyond == Duration(0) ? at : at + (kLaxGranularity - beyond);
}

IceConfig IceConfigFrom(const ShardConfig& config) {
  IceConfig ice;
  ice.consent_timeout = config.consent_timeout;
  ice.strict_consent = config.strict_consent;
  ice.connect_timeout = config.connect_timeout;
  return ice;
}

std::string FailureReason(DtlsFailure failure) {
  switch (failure) {
    case DtlsFailure::kFingerprintMismatch:
      return "dtls_fingerprint_mismatch";
    case DtlsFailure::kAlert:
      return "dtls_alert";
    case DtlsFailure::kTimeout:
      return "dtls_timeout";
    case DtlsFailure::kProtocol:
    case DtlsFailure::kNone:
      break;
  }
  return "dtls_protocol";
}

}  // namespace

std::string_view SrtpProfileName(SrtpProfile profile) {
  return profile == SrtpProfile::kAeadAes128Gcm ? "AEAD_AES_128_GCM" : "AES_CM_128_HMAC_SHA1_80";
}

Transport::Transport(ShardContext& context, FanOut& fan_out, DataRouter& data_router,
                     const CreateTransport& command, Timestamp now)
    : context_(context),
      data_router_(data_router),
      id_(command.transport),
      room_(command.room),
      ufrags_{command.local.ufrag},
      fingerprints_(command.settings.fingerprints),
      dtls_role_(command.settings.dtls_role),
      negotiated_{CodecTable(command.settings.codecs), command.settings.extensions,
                  command.settings.forward_descriptors},
      ice_(command.local, command.settings.remote, IceConfigFrom(context.config), now),
      connect_deadline_(now + context.config.connect_timeout),
      schedule_(context, this),
      sender_(context, ice_, schedule_, negotiated_.extensions.has(RtpExtension::kTransportSequenceNumber)),
      receiver_(context, fan_out, negotiated_, *this),
      feedback_(context, receiver_, sender_, schedule_, command.settings.reduced_size_rtcp),
      slots_(context, {sender_, negotiated_, schedule_, audio_}),
      data_(context, dtls_, ice_, schedule_) {
  Schedule();
}

Transport::~Transport() {
  // Slots go first, because lists of tracks contain them, also of tracks of this transport.
  slots_.Clear();
  receiver_.Clear();
}

IceStunOutcome Transport::HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now) {
  IceStunOutcome outcome = ice_.HandleStun(datagram, from, now);
  if (outcome.authenticated) {
    if (consent_ == Consent::kRestarting && !ice_.restarting()) SetConsent(Consent::kGiven);
    CheckConsent(now);
  } else {
    context_.drops.Count(outcome.indication ? DropReason::kStunIndication : DropReason::kStunRejected);
  }
  if (!outcome.response.empty() && !context_.out.AppendSingle(from, outcome.response)) {
    context_.drops.Count(DropReason::kTransmitOverflow);
  }
  // As DTLS client we begin when an address is known, after the response, so that the peer knows the path
  // too.
  if (outcome.authenticated && !dtls_ && dtls_role_ == DtlsRole::kClient) {
    StartDtls(now);
    PumpDtls(now);
  }
  Schedule();
  return outcome;
}

void Transport::StartDtls(Timestamp now) {
  DtlsConfig config;
  config.role = dtls_role_;
  config.certificate = context_.config.certificate;
  config.remote_fingerprints = fingerprints_;
  config.profiles = context_.config.srtp_profiles;
  config.max_received = kMaxDataRecords;
  config.handshake_timeout = context_.config.connect_timeout;
  dtls_.emplace(std::move(config));
  dtls_->Start(now);
}

void Transport::HandleDtls(ByteView datagram, const SocketAddress& from, Timestamp now) {
  if (!dtls_) StartDtls(now);
  const uint64_t before = dtls_->counters().application_data_in;
  dtls_->HandleDatagram(datagram, now);
  if (dtls_->counters().application_data_in != before) NoteTraffic(from, now);
  PumpDtls(now);
  data_.Read(now);
  Schedule();
}

void Transport::PumpDtls(Timestamp now) {
  while (auto datagram = dtls_->PollTransmit()) {
    if (ice_.selected() && !context_.out.AppendSingle(*ice_.selected(), *datagram)) {
      context_.drops.Count(DropReason::kTransmitOverflow);
    }
  }
  switch (dtls_->state()) {
    case DtlsState::kNew:
    case DtlsState::kConnecting:
      return;
    case DtlsState::kConnected:
      return OnDtlsConnected(now);
    case DtlsState::kClosed:
      return End(TransportState::kClosed, "peer_closed");
    case DtlsState::kFailed:
      return End(TransportState::kFailed, FailureReason(dtls_->failure()));
  }
}

void Transport::OnDtlsConnected(Timestamp now) {
  if (receiver_.open() || !dtls_->srtp_keys()) return;
  const SrtpKeys& keys = *dtls_->srtp_keys();
  const bool client = dtls_role_ == DtlsRole::kClient;
  const SrtpKeyMaterial& theirs = client ? keys.server : keys.client;
  const SrtpKeyMaterial& ours = client ? keys.client : keys.server;
  receiver_.Open(keys.profile, theirs);
  sender_.Open(keys.profile, ours);
  feedback_.Start(now);
  ChangeState(TransportState::kConnected, "");
  slots_.OnReady(now);
  sender_.estimator().Start(now);
  OnEstimate(now);
  PumpSending(now);
  data_.OnConnected();
}

void Transport::OnPathLost(const SocketAddress& address, Timestamp now) {
  ice_.Forget(address, now);
  CheckConsent(now);
  Schedule();
}

Timestamp Transport::DisconnectedAt() const {
  return ice_.consent_deadline() - context_.config.consent_timeout / kDisconnectedShare;
}

void Transport::SetConsent(Consent consent) {
  consent_ = consent;
  sender_.SetConsent(MaySend());
  data_.SetConsent(MaySend());
}

void Transport::CheckConsent(Timestamp now) {
  if (now >= ice_.consent_deadline() && MaySend()) SetConsent(Consent::kExpired);
  const bool present = now < DisconnectedAt() && MaySend();
  if (state_ == TransportState::kConnected && !present) {
    ChangeState(TransportState::kDisconnected, "consent_lost");
  } else if (state_ == TransportState::kDisconnected && present) {
    ChangeState(TransportState::kConnected, "");
  }
}

void Transport::HandleTimeout(Timestamp now) {
  schedule_.OnTimeout(now);
  const bool connected = receiver_.open();
  if (ice_.expired(now)) return End(TransportState::kFailed, connected ? "consent_lost" : "connect_timeout");
  if (!connected && now >= connect_deadline_) return End(TransportState::kFailed, "connect_timeout");
  CheckConsent(now);
  if (dtls_ && now >= dtls_->next_deadline()) {
    dtls_->HandleTimeout(now);
    PumpDtls(now);
    if (ending_) return;
  }
  if (sender_.ready()) {
    feedback_.SendFeedback(now);
    if (now >= schedule_.next_report) feedback_.SendReports(slots_, now);
    if (now >= sender_.estimator().next_deadline()) {
      sender_.estimator().HandleTimeout(now);
      OnEstimate(now);
    }
    PumpSending(now);
    if (now >= schedule_.next_allocation) slots_.Allocate(now);
  }
  Schedule();
}

Timestamp Transport::NextDeadline() const {
  Timestamp next = ice_.next_deadline();
  if (!receiver_.open()) next = std::min(next, connect_deadline_);
  if (dtls_ && !receiver_.open()) next = std::min(next, dtls_->next_deadline());
  if (MaySend()) next = std::min(next, ice_.consent_deadline());
  if (state_ == TransportState::kConnected) next = std::min(next, DisconnectedAt());
  if (!sender_.ready()) return next;
  next = std::min(next, WithOthers(std::min({schedule_.next_report, schedule_.next_allocation,
                                             sender_.control().estimator.next_deadline()})));
  return std::min({next, feedback_.next_deadline(), data_.next_deadline(), sender_.next_deadline()});
}

void Transport::Schedule() { schedule_.Set(NextDeadline()); }

void Transport::ChangeState(TransportState state, std::string reason) {
  if (state_ == state) return;
  state_ = state;
  context_.events.Push(Changed(state, std::move(reason)));
}

TransportChanged Transport::Changed(TransportState state, std::string reason) const {
  TransportChanged changed;
  changed.transport = id_;
  changed.state = state;
  changed.reason = std::move(reason);
  if (sender_.sealer()) changed.srtp_profile = SrtpProfileName(sender_.sealer()->profile());
  changed.remote_address = ice_.selected();
  return changed;
}

void Transport::End(TransportState state, std::string reason) {
  if (!ending_) ending_ = Ending{state, std::move(reason)};
}

void Transport::Shutdown() {
  if (!dtls_ || !MaySend()) return;
  data_.Shutdown();
  dtls_->Close();
  while (auto datagram = dtls_->PollTransmit()) {
    if (ice_.selected()) context_.out.AppendSingle(*ice_.selected(), *datagram);
  }
}

void Transport::Update(const UpdateTransport& update) {
  const bool had_feedback = negotiated_.extensions.has(RtpExtension::kTransportSequenceNumber);
  negotiated_ = {CodecTable(update.codecs), update.extensions, update.forward_descriptors};
  const bool feedback = negotiated_.extensions.has(RtpExtension::kTransportSequenceNumber);
  if (feedback != had_feedback) {
    sender_.SetTransportFeedback(feedback);
    slots_.ForgetAllocation();
    data_.ForgetEstimate();
  }
  slots_.OnRenegotiated();
}

bool Transport::RestartIce(const IceCredentials& local, const IceCredentials& remote, Timestamp now) {
  const bool restarted = ice_.Restart(local, remote, now);
  if (restarted) ufrags_.push_back(local.ufrag);
  if (restarted && !MaySend()) SetConsent(Consent::kRestarting);
  Schedule();
  return restarted;
}

void Transport::RemoveTrack(PublishedTrack& track) {
  receiver_.RemoveTrack(track);
  Schedule();
}

void Transport::HandleRtp(MutableByteView datagram, const SocketAddress& from, Timestamp received,
                          Timestamp now) {
  if (!receiver_.HandleRtp(datagram, received, now)) return;
  NoteTraffic(from, now);
  Schedule();
}

void Transport::HandleRtcp(MutableByteView datagram, const SocketAddress& from, Timestamp now) {
  const std::optional<ByteView> compound = receiver_.OpenRtcp(datagram);
  if (!compound) return;
  NoteTraffic(from, now);
  RtcpReader reader(*compound);
  while (const auto item = reader.Next()) HandleRtcpItem(*item, now);
  if (reader.malformed()) context_.drops.Count(DropReason::kRtcpMalformed);
  Schedule();
}

void Transport::HandleRtcpItem(const RtcpItem& item, Timestamp now) {
  std::visit(Overloaded{
                 [&](const SenderReport& report) {
                   receiver_.OnSenderReport(report, now);
                   HandleReportBlocks(report.blocks, now);
                 },
                 [&](const ReceiverReport& report) { HandleReportBlocks(report.blocks, now); },
                 [&](const Nack& nack) {
                   if (SubscriberSlot* slot = slots_.Find(nack.media)) slot->OnNack(nack, now);
                 },
                 [&](const PictureLoss& loss) {
                   if (SubscriberSlot* slot = slots_.Find(loss.media)) slot->OnKeyframeRequest();
                 },
                 [&](const FullIntra& request) {
                   // The item names the target; the media SSRC of the header is 0 (RFC 5104
                   // section 4.3.1.2).
                   for (size_t i = 0; i < request.size(); ++i) {
                     if (SubscriberSlot* slot = slots_.Find(request.target(i))) slot->OnKeyframeRequest();
                   }
                 },
                 [&](const TwccFeedbackView& feedback) {
                   sender_.estimator().OnFeedback(feedback, now);
                   OnEstimate(now);
                   PumpSending(now);
                 },
                 [&](const Remb& remb) {
                   sender_.estimator().OnRemb(
                       static_cast<int64_t>(std::min<uint64_t>(remb.bitrate_bps, INT64_MAX)), now);
                   OnEstimate(now);
                 },
                 [](const SdesCname&) {}, [](const Goodbye&) {},  // signaling ends tracks
             },
             item);
}

void Transport::HandleReportBlocks(const ReportBlocks& blocks, Timestamp now) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const ReportBlock block = blocks[i];
    SubscriberSlot* slot = slots_.Find(block.source);
    if (slot == nullptr) continue;
    slot->OnReportBlock(block, now);
    if (const auto rtt = RoundTripTime(block, NtpFromTimestamp(now))) sender_.OnRtt(*rtt);
    sender_.estimator().OnReport(block.fraction_lost, now);
  }
}

void Transport::OnEstimate(Timestamp now) {
  sender_.OnEstimate(now);
  const SendSideEstimator& estimator = sender_.estimator();
  const std::optional<int64_t> estimate = estimator.estimate_bps();
  if (estimate && estimator.measured())
    data_.OnEstimate(*estimate, slots_.target_bps(), estimator.congested(), now);
  slots_.AllocateAfterEstimate(now);
}

void Transport::PumpSending(Timestamp now) {
  if (!sender_.ready()) return;
  sender_.SendProbes(now, [&] { return slots_.SendPadding(now); });
  data_.SendWaiting(now);
  sender_.SendWaiting(now);
}

void Transport::ConfigureData(const DataSettings& settings, Timestamp now) {
  data_.Configure(data_router_, id_, room_, dtls_role_ == DtlsRole::kClient, settings, now);
}

TransportStats Transport::Stats() const {
  TransportStats report;
  report.transport = id_;
  report.state = state_;
  if (sender_.sealer()) report.srtp_profile = SrtpProfileName(sender_.sealer()->profile());
  report.packets_in = receiver_.packets();
  report.bytes_in = receiver_.bytes();
  report.packets_out = sender_.packets();
  report.bytes_out = sender_.bytes();
  const SendControl& control = sender_.control();
  report.estimate_bps = static_cast<uint64_t>(control.estimator.estimate_bps().value_or(0));
  report.target_bps = static_cast<uint64_t>(slots_.target_bps());
  report.slots_paused = slots_.paused();
  report.acknowledged_bps = static_cast<uint64_t>(control.estimator.acknowledged_bps());
  report.loss = control.estimator.loss();
  report.pacer_queue_packets = control.queue.size();
  report.pacer_queue_bytes = control.queue.bytes();
  report.pacer_drops = control.queue_drops + control.expired_drops + control.stale_drops;
  report.probe_clusters = control.estimator.probe_clusters();
  report.probe_packets = control.probe_packets;
  data_.Stats(report);
  if (const auto& rtt = sender_.measured_rtt()) report.rtt_ms = static_cast<double>(rtt->count()) / 1000.0;
  return report;
}

}  // namespace nexus
