#include "engine/transport/transport.h"

#include <algorithm>

#include "engine/room/room.h"

namespace nexus {
namespace {

// Two checks of RFC 7675 section 5.1 may be lost before the peer counts as disconnected.
constexpr int kDisconnectedShare = 2;
// Of one datagram; they are read before the next one comes.
constexpr size_t kMaxDataRecords = 64;
// A deadline that has passed by our clock but not by OpenSSL's must not spin.
constexpr Duration kTimerGranularity{1'000};
// What may as well be a little later happens for all transports of a shard at once: a wake-up of the thread
// costs more than what is done then.
constexpr Duration kLaxGranularity{10'000};

Timestamp WithOthers(Timestamp at) {
  if (at == kNever) return at;
  const Duration beyond = at.time_since_epoch() % kLaxGranularity;
  return beyond == Duration(0) ? at : at + (kLaxGranularity - beyond);
}

// RFC 7022 section 4.2: short-term, random. One clock, one name for all slots of a peer.
std::string RandomCname(std::mt19937_64& random) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string name;
  for (int i = 0; i < 16; ++i) name += kAlphabet[random() % kAlphabet.size()];
  return name;
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

Transport::Transport(ShardContext& context, Room& room, const CreateTransport& command, Timestamp now)
    : ufrags{command.local.ufrag},
      context_(context),
      room_(room),
      id_(command.transport),
      settings_(command.settings),
      codecs_(command.settings.codecs),
      extensions_(command.settings.extensions),
      forward_descriptors_(command.settings.forward_descriptors),
      ice_(command.local, command.settings.remote, IceConfigFrom(context.config), now),
      connect_deadline_(now + context.config.connect_timeout),
      send_(std::make_unique<SendControl>(context.config.bandwidth,
                                          extensions_.has(RtpExtension::kTransportSequenceNumber),
                                          context.config.first_transport_sequence)),
      local_ssrc_{static_cast<uint32_t>(context.random() | 1)},
      cname_(RandomCname(context.random)) {
  Schedule();
}

Transport::~Transport() {
  // Slots first: they sit in lists of tracks, of this transport too.
  slots_.clear();
  tracks_.clear();
}

IceStunOutcome Transport::HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now) {
  IceStunOutcome outcome = ice_.HandleStun(datagram, from, now);
  if (outcome.authenticated) {
    if (consent_ == Consent::kRestarting && !ice_.restarting()) consent_ = Consent::kGiven;
    CheckConsent(now);
  } else {
    context_.drops.Count(outcome.indication ? DropReason::kStunIndication : DropReason::kStunRejected);
  }
  if (!outcome.response.empty() && !context_.out.AppendSingle(from, outcome.response)) {
    context_.drops.Count(DropReason::kTransmitOverflow);
  }
  // The client begins when it has somewhere to send to: behind the answer, so that the path is known there.
  if (outcome.authenticated && !dtls_ && settings_.dtls_role == DtlsRole::kClient) {
    StartDtls(now);
    PumpDtls(now);
  }
  Schedule();
  return outcome;
}

void Transport::StartDtls(Timestamp now) {
  DtlsConfig config;
  config.role = settings_.dtls_role;
  config.certificate = context_.config.certificate;
  config.remote_fingerprints = settings_.fingerprints;
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
  ReadData(now);
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
  if (opener_ || !dtls_->srtp_keys()) return;
  const SrtpKeys& keys = *dtls_->srtp_keys();
  const bool client = settings_.dtls_role == DtlsRole::kClient;
  const SrtpKeyMaterial& theirs = client ? keys.server : keys.client;
  const SrtpKeyMaterial& ours = client ? keys.client : keys.server;
  opener_.emplace(keys.profile, theirs, SrtpOpenerConfig{.library = context_.config.gcm});
  sealer_.emplace(keys.profile, ours, context_.config.gcm);
  // Spread over the interval, so that a room that joined at once does not report at once (RFC 3550
  // section 6.2).
  const auto interval = static_cast<uint64_t>(context_.config.rtcp_interval.count());
  next_report_ = now + Duration(static_cast<int64_t>(interval / 2 + context_.random() % interval / 2));
  ChangeState(TransportState::kConnected, "");
  for (const auto& slot : slots_) slot->OnReady(now);
  send_->estimator.Start(now);
  OnEstimate(now);
  PumpSending(now);
  if (data_) data_->OnConnected();
}

void Transport::OnPathLost(const SocketAddress& address, Timestamp now) {
  ice_.Forget(address, now);
  CheckConsent(now);
  Schedule();
}

Timestamp Transport::DisconnectedAt() const {
  return ice_.consent_deadline() - context_.config.consent_timeout / kDisconnectedShare;
}

void Transport::CheckConsent(Timestamp now) {
  if (now >= ice_.consent_deadline() && MaySend()) consent_ = Consent::kExpired;
  const bool present = now < DisconnectedAt() && MaySend();
  if (state_ == TransportState::kConnected && !present) {
    ChangeState(TransportState::kDisconnected, "consent_lost");
  } else if (state_ == TransportState::kDisconnected && present) {
    ChangeState(TransportState::kConnected, "");
  }
}

void Transport::HandleTimeout(Timestamp now) {
  last_timeout_ = now;
  const bool connected = opener_.has_value();
  if (ice_.expired(now)) return End(TransportState::kFailed, connected ? "consent_lost" : "connect_timeout");
  if (!connected && now >= connect_deadline_) return End(TransportState::kFailed, "connect_timeout");
  CheckConsent(now);
  if (dtls_ && now >= dtls_->next_deadline()) {
    dtls_->HandleTimeout(now);
    PumpDtls(now);
    if (ending_) return;
  }
  if (ready()) {
    SendFeedback(now);
    if (now >= next_report_) SendReports(now);
    if (now >= send_->estimator.next_deadline()) {
      send_->estimator.HandleTimeout(now);
      OnEstimate(now);
    }
    PumpSending(now);
    if (now >= send_->next_allocation) Allocate(now);
  }
  Schedule();
}

Timestamp Transport::NextDeadline() const {
  Timestamp next = ice_.next_deadline();
  if (!opener_) next = std::min(next, connect_deadline_);
  if (dtls_ && !opener_) next = std::min(next, dtls_->next_deadline());
  if (MaySend()) next = std::min(next, ice_.consent_deadline());
  if (state_ == TransportState::kConnected) next = std::min(next, DisconnectedAt());
  if (!ready()) return next;
  next = std::min(
      next, WithOthers(std::min({next_report_, send_->next_allocation, send_->estimator.next_deadline()})));
  next = std::min({next, twcc_.next_deadline(), NextSendDeadline()});
  for (const auto& track : tracks_) {
    if (track->kind() != MediaKind::kVideo || track->muted()) continue;
    for (const auto& layer : track->layers()) {
      next = std::min(next, layer->nacks().next_deadline(RttTo(*layer)));
      if (layer->ssrc) next = std::min(next, layer->keyframes().next_deadline());
    }
  }
  return next;
}

Duration Transport::RttTo(const PublishedLayer& layer) const {
  return rtt_.value_or(layer.nacks().response_time().value_or(kAssumedRtt));
}

void Transport::Schedule() {
  const Timestamp at = std::max(NextDeadline(), last_timeout_ + kTimerGranularity);
  if (at != deadline_.at()) context_.deadlines.Set(deadline_, at);
}

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
  if (sealer_) changed.srtp_profile = SrtpProfileName(sealer_->profile());
  changed.remote_address = ice_.selected();
  return changed;
}

void Transport::End(TransportState state, std::string reason) {
  if (!ending_) ending_ = Ending{state, std::move(reason)};
}

void Transport::Shutdown() {
  if (!dtls_ || !MaySend()) return;
  if (data_) data_->Shutdown();
  dtls_->Close();
  while (auto datagram = dtls_->PollTransmit()) {
    if (ice_.selected()) context_.out.AppendSingle(*ice_.selected(), *datagram);
  }
}

// The dependency descriptor may have been negotiated only for what the peer publishes.
RtpExtensionIds Transport::slot_extension_ids() const {
  RtpExtensionIds ids = extensions_;
  if (!forward_descriptors_) ids.Set(RtpExtension::kDependencyDescriptor, 0);
  return ids;
}

void Transport::Update(const UpdateTransport& update) {
  codecs_ = CodecTable(update.codecs);
  extensions_ = update.extensions;
  forward_descriptors_ = update.forward_descriptors;
  const bool feedback = extensions_.has(RtpExtension::kTransportSequenceNumber);
  if (feedback != send_->has_transport_feedback) {
    send_ = std::make_unique<SendControl>(context_.config.bandwidth, feedback,
                                          context_.config.first_transport_sequence);
    if (ready()) send_->estimator.Start(last_timeout_);
  }
  for (const auto& slot : slots_) slot->OnRenegotiated();
}

bool Transport::RestartIce(const IceCredentials& local, const IceCredentials& remote, Timestamp now) {
  const bool restarted = ice_.Restart(local, remote, now);
  if (restarted && !MaySend()) consent_ = Consent::kRestarting;
  Schedule();
  return restarted;
}

PublishedTrack* Transport::AddTrack(TrackId id, const TrackSettings& settings, std::string_view& refusal) {
  if (tracks_.size() >= context_.config.max_tracks_per_transport) return refusal = "too_many_tracks", nullptr;
  std::unordered_set<Ssrc> own;
  for (const auto* list : {&settings.ssrcs, &settings.rtx_ssrcs}) {
    for (const Ssrc ssrc : *list) {
      if (ssrcs_.contains(ssrc) || !own.insert(ssrc).second) return refusal = "ssrc_in_use", nullptr;
    }
  }
  if (!settings.mid.empty() && TrackByMid(settings.mid) != nullptr) return refusal = "mid_in_use", nullptr;
  tracks_.push_back(std::make_unique<PublishedTrack>(context_, *this, id, settings));
  PublishedTrack& track = *tracks_.back();
  for (size_t i = 0; i < settings.ssrcs.size() && i < context_.config.max_layers_per_track; ++i) {
    const std::string rid = i < settings.rids.size() ? settings.rids[i]
                            : i == 0                 ? ""
                                                     : "#" + std::to_string(i);
    PublishedLayer* layer = track.LayerFor(rid);
    if (layer == nullptr || layer->ssrc) continue;  // two SSRCs under one RID: the first counts
    layer->ssrc = settings.ssrcs[i];
    ssrcs_[settings.ssrcs[i]] = {layer, false};
    if (i >= settings.rtx_ssrcs.size()) continue;
    layer->rtx_ssrc = settings.rtx_ssrcs[i];
    ssrcs_[settings.rtx_ssrcs[i]] = {layer, true};
  }
  return &track;
}

void Transport::RemoveTrack(PublishedTrack& track) {
  for (const auto& layer : track.layers()) ForgetLayer(*layer);
  std::erase_if(tracks_, [&](const auto& owned) { return owned.get() == &track; });
  Schedule();
}

SubscriberSlot* Transport::AddSlot(SlotId id, const SlotSettings& settings, Timestamp now,
                                   std::string_view& refusal) {
  if (slots_.size() >= context_.config.max_slots_per_transport) return refusal = "too_many_slots", nullptr;
  if (slots_by_ssrc_.contains(settings.ssrc)) return refusal = "ssrc_in_use", nullptr;
  slots_.push_back(std::make_unique<SubscriberSlot>(context_, *this, id, settings, now));
  slots_by_ssrc_[settings.ssrc] = slots_.back().get();
  audio_placement_stale = true;
  AllocateSoon();
  return slots_.back().get();
}

void Transport::RemoveSlot(SubscriberSlot& slot) {
  slots_by_ssrc_.erase(slot.settings().ssrc);
  audio_placement_stale = true;
  std::erase_if(slots_, [&](const auto& owned) { return owned.get() == &slot; });
}

TransportReport Transport::Report() const {
  TransportReport report;
  report.transport = id_;
  report.state = state_;
  if (sealer_) report.srtp_profile = SrtpProfileName(sealer_->profile());
  report.packets_in = packets_in_;
  report.bytes_in = bytes_in_;
  report.packets_out = packets_out_;
  report.bytes_out = bytes_out_;
  const SendSideEstimator& estimator = send_->estimator;
  report.estimate_bps = static_cast<uint64_t>(estimator.estimate_bps().value_or(0));
  report.target_bps = static_cast<uint64_t>(send_->target_bps);
  report.slots_paused = send_->allocator.paused();
  report.acknowledged_bps = static_cast<uint64_t>(estimator.acknowledged_bps());
  report.loss = estimator.loss();
  report.pacer_queue_packets = send_->queue.size() + send_->data.size();
  report.pacer_queue_bytes = send_->queue.bytes() + send_->data.bytes();
  report.pacer_drops = send_->queue_drops + send_->expired_drops + send_->stale_drops;
  report.probe_clusters = estimator.probe_clusters();
  report.probe_packets = send_->probe_packets;
  if (data_) data_->Report(report);
  if (rtt_) report.rtt_ms = static_cast<double>(rtt_->count()) / 1000.0;
  return report;
}

}  // namespace nexus
