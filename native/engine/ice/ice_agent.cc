#include "engine/ice/ice_agent.h"

#include <algorithm>
#include <utility>

#include "engine/stun/stun_writer.h"

namespace nexus {
namespace {

constexpr size_t kMaxAnswers = 64;  // maximum number that waits for PollTransmit
// RFC 8445 section 5.1.2.1: type preference 110, sent in checks for a peer-reflexive candidate found by them.
constexpr uint32_t kPeerReflexivePriority = 0x6E7F00FF;

}  // namespace

IceAgent::IceAgent(IceCredentials local, IceAgentConfig config, uint64_t seed)
    : local_(std::move(local)),
      config_(config),
      random_(seed),
      tie_breaker_(random_()),
      controlling_(config.controlling) {}

void IceAgent::Start(IceCredentials remote, Timestamp now) {
  remote_ = std::move(remote);
  started_ = true;
  state_ = IceAgentState::kChecking;
  next_check_ = now;
  deadline_ = now + config_.connect_timeout;
}

// RFC 8445 section 6.1.2.3: 2^32 * MIN(G, D) + 2 * MAX(G, D) + (G > D ? 1 : 0)
uint64_t IceAgent::PairPriority(uint32_t remote) const {
  const uint64_t g = controlling_ ? config_.local_priority : remote;
  const uint64_t d = controlling_ ? remote : config_.local_priority;
  return (std::min(g, d) << 32) + 2 * std::max(g, d) + (g > d ? 1 : 0);
}

IceAgent::Pair* IceAgent::PairFor(const SocketAddress& address) {
  const auto found = std::find_if(pairs_.begin(), pairs_.end(),
                                  [&](const Pair& pair) { return pair.remote.address == address; });
  return found == pairs_.end() ? nullptr : &*found;
}

IceAgent::Pair* IceAgent::AddPair(const IceRemoteCandidate& candidate) {
  if (pairs_.size() >= config_.max_pairs) {
    ++counters_.dropped_pairs_full;
    return nullptr;
  }
  Pair pair;
  pair.remote = candidate;
  pair.priority = PairPriority(candidate.priority);
  const auto place = std::find_if(pairs_.begin(), pairs_.end(),
                                  [&](const Pair& other) { return other.priority < pair.priority; });
  return &*pairs_.insert(place, pair);
}

void IceAgent::AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now) {
  if (PairFor(candidate.address) != nullptr) return;  // section 6.1.2.4: redundant
  if (AddPair(candidate) != nullptr) next_check_ = std::max(next_check_, now);
}

bool IceAgent::Restart(IceCredentials local, IceCredentials remote, Timestamp now) {
  if (local.ufrag == local_.ufrag || local.pwd == local_.pwd || remote.ufrag == remote_.ufrag) return false;
  local_ = std::move(local);
  for (Pair& pair : pairs_) {
    const IceRemoteCandidate remote_candidate = pair.remote;
    pair = Pair{};
    pair.remote = remote_candidate;
    pair.priority = PairPriority(remote_candidate.priority);
  }
  nominated_ = false;
  first_success_ = kNever;
  consent_outstanding_ = false;
  next_consent_ = kNever;  // the old username must not be used
  const std::optional<SocketAddress> kept = selected_;
  Start(std::move(remote), now);
  selected_ = kept;
  if (kept) state_ = IceAgentState::kConnected;
  return true;
}

IceAgent::Pair* IceAgent::NextToCheck() {
  // Section 6.1.4.2: triggered checks first, then the waiting pair of the highest priority.
  Pair* next = nullptr;
  for (Pair& pair : pairs_) {
    if (pair.triggered) return &pair;
    if (next == nullptr && pair.state == PairState::kWaiting) next = &pair;
  }
  return next;
}

std::optional<IceTransmit> IceAgent::PollTransmit(Timestamp now) {
  if (!answers_.empty()) {
    IceTransmit answer = std::move(answers_.front());
    answers_.erase(answers_.begin());
    return answer;
  }
  if (!started_ || state_ == IceAgentState::kFailed) return std::nullopt;
  MaybeNominate(now);
  if (now >= next_consent_ && selected_) {
    ScheduleConsent(now);
    // RFC 7675 section 5.1: each consent check is a new transaction and is not retransmitted.
    for (uint8_t& byte : consent_) byte = static_cast<uint8_t>(random_());
    consent_outstanding_ = true;
    // As libwebrtc does, the pair in use is nominated again each time: a lite peer then follows a NAT that
    // has given us another address.
    Pair asked;
    asked.transaction = consent_;
    asked.nominate = nominated_;
    ++counters_.checks_sent;
    return IceTransmit{*selected_, MakeCheck(asked, false, now)};
  }
  return PollCheck(now);
}

std::optional<IceTransmit> IceAgent::PollCheck(Timestamp now) {
  for (Pair& pair : pairs_) {
    if (pair.state != PairState::kInProgress || now < pair.resend_at) continue;
    if (pair.requests >= config_.max_requests) {
      Fail(pair);
      continue;
    }
    return IceTransmit{pair.remote.address, MakeCheck(pair, false, now)};
  }
  if (now < next_check_) return std::nullopt;
  Pair* pair = NextToCheck();
  if (pair == nullptr) return std::nullopt;
  next_check_ = now + config_.pacing;
  pair->triggered = false;
  if (pair->state != PairState::kSucceeded) pair->state = PairState::kInProgress;
  pair->requests = 0;
  return IceTransmit{pair->remote.address, MakeCheck(*pair, true, now)};
}

std::vector<uint8_t> IceAgent::MakeCheck(Pair& pair, bool fresh, Timestamp now) {
  // A retransmitted check keeps its transaction id (RFC 8489 section 6.2.1).
  if (fresh) {
    for (uint8_t& byte : pair.transaction) byte = static_cast<uint8_t>(random_());
    pair.state = PairState::kInProgress;
  }
  pair.resend_at = now + config_.initial_rto * (1 << std::min(pair.requests, 3u));
  if (pair.requests++ == 0) pair.sent = now;
  ++counters_.checks_sent;
  StunWriter writer(StunClass::kRequest, kStunBinding, pair.transaction);
  writer.Username(remote_.ufrag + ":" + local_.ufrag);
  if (controlling_) {
    writer.IceControlling(tie_breaker_);
    if (pair.nominate) writer.UseCandidate();
  } else {
    writer.IceControlled(tie_breaker_);
  }
  writer.Priority(kPeerReflexivePriority);
  writer.MessageIntegrity(remote_.pwd);
  writer.Fingerprint();
  return writer.ToVector();
}

// Section 8.1.1, regular nomination: nominates the best pair that works as soon as no better pair can still
// succeed, or after `nomination_patience`.
void IceAgent::MaybeNominate(Timestamp now) {
  if (!controlling_ || nominated_ || first_success_ == kNever) return;
  Pair* best = nullptr;
  for (Pair& pair : pairs_) {
    if (pair.nominate) return;  // nomination in progress
    if (pair.state == PairState::kSucceeded) {
      best = &pair;
      break;
    }
    const bool may_come = pair.state == PairState::kWaiting || pair.state == PairState::kInProgress;
    if (may_come && now < first_success_ + config_.nomination_patience) return;
  }
  if (best == nullptr) return;
  best->nominate = true;
  best->triggered = true;
  next_check_ = now;
}

void IceAgent::HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now) {
  const auto message = ParseStun(datagram);
  if (!message || (message->fingerprint_offset != 0 && !VerifyStunFingerprint(*message))) {
    ++counters_.dropped_malformed;
    return;
  }
  if (message->method != kStunBinding || message->message_class == StunClass::kIndication) {
    if (message->message_class != StunClass::kIndication) ++counters_.dropped_unexpected;
    return;
  }
  if (message->message_class == StunClass::kRequest) {
    HandleRequest(*message, from, now);
  } else {
    HandleResponse(*message, from, now);
  }
}

bool IceAgent::HandleRequest(const StunMessage& message, const SocketAddress& from, Timestamp now) {
  if (!message.username || !message.username->starts_with(local_.ufrag + ":")) {
    ++counters_.dropped_unexpected;
    return false;
  }
  if (!VerifyStunIntegrity(message, local_.pwd)) {
    ++counters_.dropped_integrity;
    return false;
  }
  // Section 7.3.1.1: the larger tie-breaker keeps the controlling role.
  const bool both_control = controlling_ && message.ice_controlling;
  const bool both_controlled = !controlling_ && message.ice_controlled;
  if (both_control || both_controlled) {
    ++counters_.role_conflicts;
    const uint64_t theirs = both_control ? *message.ice_controlling : *message.ice_controlled;
    const bool larger = tie_breaker_ >= theirs;
    if (larger == both_control) {
      Respond(message, from, true);
      return true;
    }
    SwitchRole();
  }
  Respond(message, from, false);
  ++counters_.checks_answered;
  Pair* pair = PairFor(from);
  if (pair == nullptr)
    pair = AddPair({from, message.priority.value_or(kPeerReflexivePriority)});  // section 7.3.1.3
  if (pair == nullptr) return true;
  if (pair->state == PairState::kWaiting || pair->state == PairState::kFailed) {  // section 7.3.1.4
    pair->triggered = true;
    next_check_ = std::min(next_check_, now);
  }
  if (!controlling_ && message.use_candidate) {  // section 7.3.1.5
    pair->remote_nominated = true;
    const bool in_use = nominated_ && selected_ == from;
    if (pair->state == PairState::kSucceeded && !in_use) Select(*pair, true, now);
  }
  return true;
}

void IceAgent::Respond(const StunMessage& request, const SocketAddress& to, bool conflict) {
  if (answers_.size() >= kMaxAnswers) return;  // the peer will repeat its check
  StunWriter writer(conflict ? StunClass::kError : StunClass::kSuccess, kStunBinding, request.transaction_id);
  if (conflict) {
    writer.ErrorCode(487, "Role Conflict");
  } else {
    writer.XorMappedAddress(to);
  }
  writer.MessageIntegrity(local_.pwd);
  writer.Fingerprint();
  answers_.push_back({to, writer.ToVector()});
}

void IceAgent::HandleResponse(const StunMessage& message, const SocketAddress& from, Timestamp now) {
  const bool is_consent = consent_outstanding_ && message.transaction_id == consent_;
  const auto found = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& pair) {
    return pair.requests > 0 && pair.transaction == message.transaction_id;
  });
  if (!is_consent && found == pairs_.end()) {
    ++counters_.dropped_unexpected;
    return;
  }
  if (!VerifyStunIntegrity(message, remote_.pwd)) {
    ++counters_.dropped_integrity;
    return;
  }
  ++counters_.responses;
  if (is_consent) {
    if (message.message_class == StunClass::kSuccess && selected_ == from) {
      consent_outstanding_ = false;
      deadline_ = now + config_.consent_timeout;
    }
    return;
  }
  Pair& pair = *found;
  // Section 7.2.5.2.1: a response from another address means that the path is not symmetric.
  if (from != pair.remote.address) return Fail(pair);
  if (message.message_class == StunClass::kError) {
    if (message.error_code == 487) return OnConflictAnswer(pair, now);
    return Fail(pair);
  }
  if (message.xor_mapped_address) mapped_ = message.xor_mapped_address;
  OnSuccess(pair, now);
}

void IceAgent::Fail(Pair& pair) {
  pair.state = PairState::kFailed;
  pair.resend_at = kNever;
  pair.triggered = false;
  if (!pair.nominate) return;
  // The nominated pair has stopped working: look for another one.
  pair.nominate = false;
  if (!nominated_) first_success_ = kNever;
}

// Section 7.2.5.1
void IceAgent::OnConflictAnswer(Pair& pair, Timestamp now) {
  ++counters_.role_conflicts;
  SwitchRole();
  pair.state = PairState::kWaiting;
  pair.triggered = true;
  pair.resend_at = kNever;
  next_check_ = now;
}

void IceAgent::SwitchRole() {
  controlling_ = !controlling_;
  for (Pair& pair : pairs_) {
    pair.priority = PairPriority(pair.remote.priority);
    pair.nominate = false;
  }
  std::stable_sort(pairs_.begin(), pairs_.end(),
                   [](const Pair& a, const Pair& b) { return a.priority > b.priority; });
}

void IceAgent::OnSuccess(Pair& pair, Timestamp now) {
  // Karn's algorithm: a response to a repeated request does not measure the round trip.
  if (pair.requests == 1) rtt_ = now - pair.sent;
  pair.state = PairState::kSucceeded;
  pair.resend_at = kNever;
  pair.requests = 0;
  if (first_success_ == kNever) first_success_ = now;
  deadline_ = now + config_.consent_timeout;
  const bool chosen = controlling_ ? pair.nominate : pair.remote_nominated;
  if (chosen) {
    Select(pair, true, now);
  } else if (!selected_) {
    Select(pair, false, now);
  }
}

void IceAgent::Select(const Pair& pair, bool nominated, Timestamp now) {
  selected_ = pair.remote.address;
  nominated_ = nominated;
  state_ = IceAgentState::kConnected;
  consent_outstanding_ = false;
  ScheduleConsent(now);
  if (!nominated) return;
  // Section 8.1.2: the remaining pairs are not checked any more.
  for (Pair& other : pairs_) {
    if (other.remote.address == pair.remote.address) continue;
    if (other.state == PairState::kWaiting || other.state == PairState::kInProgress) Fail(other);
  }
}

void IceAgent::ScheduleConsent(Timestamp now) {
  // RFC 7675 section 5.1: randomised between 0.8 and 1.2 of the interval.
  const auto interval = static_cast<uint64_t>(config_.consent_interval.count());
  next_consent_ =
      now + Duration(static_cast<int64_t>(interval * 8 / 10 + random_() % (interval * 4 / 10 + 1)));
}

bool IceAgent::IsValidated(const SocketAddress& address) const {
  if (selected_ == address) return true;
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const Pair& pair) {
    return pair.remote.address == address && pair.state == PairState::kSucceeded;
  });
}

Timestamp IceAgent::next_deadline() const {
  if (!started_ || state_ == IceAgentState::kFailed) return answers_.empty() ? kNever : Timestamp::min();
  if (!answers_.empty()) return Timestamp::min();
  Timestamp next = std::min(deadline_, next_consent_);
  bool to_check = false;
  bool nominating = false;
  for (const Pair& pair : pairs_) {
    to_check |= pair.triggered || pair.state == PairState::kWaiting;
    nominating |= pair.nominate;
    if (pair.state == PairState::kInProgress) next = std::min(next, pair.resend_at);
  }
  if (to_check) next = std::min(next, next_check_);
  if (controlling_ && !nominated_ && !nominating && first_success_ != kNever) {
    next = std::min(next, first_success_ + config_.nomination_patience);
  }
  return next;
}

void IceAgent::HandleTimeout(Timestamp now) {
  if (started_ && now >= deadline_) state_ = IceAgentState::kFailed;
}

}  // namespace nexus
