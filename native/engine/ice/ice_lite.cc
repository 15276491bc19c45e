#include "engine/ice/ice_lite.h"

#include <algorithm>
#include <utility>

#include "engine/stun/stun_writer.h"

namespace nexus {

namespace {

// RFC 8445 section 5.3: at least 4 characters of ufrag, 22 of password, 256 at most.
bool WellFormed(const IceCredentials& credentials) {
  return credentials.ufrag.size() >= 4 && credentials.ufrag.size() <= 256 && credentials.pwd.size() >= 22 &&
         credentials.pwd.size() <= 256;
}

// RFC 8445 section 7.1.1, at the answering side: USERNAME is "ours:theirs".
bool Names(std::string_view username, const std::string& local, const std::string& remote) {
  return username.size() == local.size() + 1 + remote.size() && username.starts_with(local) &&
         username[local.size()] == ':' && username.ends_with(remote);
}

std::vector<uint8_t> Finish(StunWriter& writer, const IceCredentials& local) {
  writer.MessageIntegrity(local.pwd);
  writer.Fingerprint();
  return writer.ToVector();
}

std::vector<uint8_t> ErrorResponse(const StunMessage& request, uint16_t code, std::string_view reason,
                                   const IceCredentials& local) {
  StunWriter writer(StunClass::kError, request.method, request.transaction_id);
  writer.ErrorCode(code, reason);
  if (code == 420) {
    const size_t count = std::min(request.unknown_count, kStunMaxUnknownAttributes);
    writer.UnknownAttributes(std::span(request.unknown_attributes).first(count));
  }
  return Finish(writer, local);
}

}  // namespace

IceLite::IceLite(IceCredentials local, IceCredentials remote, IceConfig config, Timestamp now)
    : config_(config),
      current_{std::move(local), std::move(remote)},
      deadline_(now + config.connect_timeout) {
  config_.max_remote_addresses =
      std::max<size_t>(config_.max_remote_addresses, 2);  // the selected one and its successor
  remotes_.reserve(config_.max_remote_addresses);
}

IceStunOutcome IceLite::HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now) {
  IceStunOutcome outcome;
  const auto message = ParseStun(datagram);
  if (!message) {
    ++counters_.dropped_malformed;
    return outcome;
  }
  if (message->method != kStunBinding ||
      (message->message_class != StunClass::kRequest && message->message_class != StunClass::kIndication)) {
    ++counters_.dropped_unexpected;  // a lite agent sends no requests, so there are no responses
    return outcome;
  }
  // MESSAGE-INTEGRITY is stronger than a checksum: FINGERPRINT may be absent, but not wrong.
  if (message->fingerprint_offset != 0 && !VerifyStunFingerprint(*message)) {
    ++counters_.dropped_fingerprint;
    return outcome;
  }
  if (message->message_class == StunClass::kIndication) {
    ++counters_.indications;  // RFC 8445 section 11: an unauthenticated keepalive
    outcome.indication = true;
    return outcome;
  }
  const Generation* generation = Authenticate(*message);
  if (generation == nullptr) return outcome;
  outcome.response = Refuse(*message, *generation);
  if (!outcome.response.empty()) return outcome;

  ++counters_.checks;
  outcome.authenticated = true;
  StunWriter writer(StunClass::kSuccess, kStunBinding, message->transaction_id);
  writer.XorMappedAddress(from);
  outcome.response = Finish(writer, generation->local);
  const bool under_current = generation == &current_;
  outcome.selected_changed =
      Select(from, message->use_candidate, under_current, now);  // may end the old generation
  outcome.evicted = Remember(from, now);
  deadline_ = now + config_.consent_timeout;
  return outcome;
}

const IceLite::Generation* IceLite::Authenticate(const StunMessage& message) {
  const auto named = [&](const Generation& generation) {
    return message.username && Names(*message.username, generation.local.ufrag, generation.remote.ufrag);
  };
  const Generation* generation = nullptr;
  if (named(current_)) {
    generation = &current_;
  } else if (previous_ && named(*previous_)) {
    generation = &*previous_;
  }
  if (generation == nullptr) {
    ++counters_.dropped_username;
    return nullptr;
  }
  if (!VerifyStunIntegrity(message, generation->local.pwd)) {
    ++counters_.dropped_integrity;
    return nullptr;
  }
  return generation;
}

// The error response to an authenticated request; empty if the request is valid.
std::vector<uint8_t> IceLite::Refuse(const StunMessage& message, const Generation& generation) {
  if (message.unknown_count != 0) {  // RFC 8489 section 6.3.1
    ++counters_.bad_requests;
    return ErrorResponse(message, 420, "Unknown Attribute", generation.local);
  }
  // RFC 8445 sections 7.1.1 and 7.1.2: PRIORITY is required, and exactly one role.
  if (!message.priority || (message.ice_controlled && message.ice_controlling)) {
    ++counters_.bad_requests;
    return ErrorResponse(message, 400, "Bad Request", generation.local);
  }
  // RFC 8445 section 7.3.1.1. A lite agent is controlled by a full one (section 6.1.1) and cannot switch, and
  // two lite agents send no checks. So the peer has to switch, whatever the tie-breakers are.
  if (message.ice_controlled) {
    ++counters_.role_conflicts;
    return ErrorResponse(message, 487, "Role Conflict", generation.local);
  }
  return {};
}

std::optional<SocketAddress> IceLite::Remember(const SocketAddress& from, Timestamp now) {
  for (RemoteAddress& remote : remotes_) {
    if (remote.address != from) continue;
    remote.last_check = now;
    return std::nullopt;
  }
  if (remotes_.size() < config_.max_remote_addresses) {
    remotes_.push_back({from, now});
    return std::nullopt;
  }
  RemoteAddress* oldest = nullptr;
  for (RemoteAddress& remote : remotes_) {
    if (remote.address == selected_) continue;
    if (oldest == nullptr || remote.last_check < oldest->last_check) oldest = &remote;
  }
  ++counters_.evicted;
  const SocketAddress evicted = oldest->address;  // there is one: the table has at least two entries
  *oldest = {from, now};
  return evicted;
}

// The last nomination wins, as libwebrtc expects of a lite peer: it repeats USE-CANDIDATE only on the pair in
// use.
bool IceLite::Select(const SocketAddress& from, bool nominates, bool under_current, Timestamp now) {
  if (nominates && under_current) previous_.reset();  // the restart is complete
  if (selected_ == from) return false;
  if (selected_ && !nominates && !SelectedLostConsent(now)) return false;
  SetSelected(from, now);
  ++counters_.nominations;
  return true;
}

void IceLite::SetSelected(const std::optional<SocketAddress>& address, Timestamp now) {
  selected_ = address;
  selected_since_ = now;
}

bool IceLite::SelectedLostConsent(Timestamp now) const {
  const bool heard = last_traffic_ >= selected_since_ && now < TrafficDeadline();
  if (heard && !config_.strict_consent) return false;
  for (const RemoteAddress& remote : remotes_) {
    if (remote.address == selected_) return now - remote.last_check >= config_.consent_timeout;
  }
  return true;
}

bool IceLite::IsValidated(const SocketAddress& address) const {
  return std::any_of(remotes_.begin(), remotes_.end(),
                     [&](const RemoteAddress& remote) { return remote.address == address; });
}

std::vector<SocketAddress> IceLite::validated() const {
  std::vector<SocketAddress> addresses;
  for (const RemoteAddress& remote : remotes_) addresses.push_back(remote.address);
  return addresses;
}

void IceLite::Forget(const SocketAddress& address, Timestamp now) {
  std::erase_if(remotes_, [&](const RemoteAddress& remote) { return remote.address == address; });
  if (selected_ != address) return;
  SetSelected(std::nullopt, now);
  const auto newest = std::max_element(remotes_.begin(), remotes_.end(), [](const auto& a, const auto& b) {
    return a.last_check < b.last_check;
  });
  if (newest != remotes_.end()) SetSelected(newest->address, now);
}

bool IceLite::Restart(IceCredentials local, IceCredentials remote, Timestamp now) {
  // RFC 8839 section 4.4.1.1.1: a restart changes both ufrag and pwd.
  const bool is_new = local.ufrag != current_.local.ufrag && local.pwd != current_.local.pwd;
  if (!is_new || !WellFormed(local) || !WellFormed(remote)) return false;
  // If a restart begins before the last one is complete, the selected address belongs to the oldest of three
  // generations.
  if (!previous_ && selected_) previous_ = std::move(current_);
  current_ = {std::move(local), std::move(remote)};
  deadline_ = std::max(deadline_, now + config_.connect_timeout);
  return true;
}

}  // namespace nexus
