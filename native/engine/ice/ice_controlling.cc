#include "engine/ice/ice_controlling.h"

#include <algorithm>
#include <utility>

#include "engine/stun/stun_writer.h"

namespace nexus {

IceControlling::IceControlling(IceCredentials local, IceCredentials remote, IceControllingConfig config,
                               uint64_t seed, Timestamp now)
    : local_(std::move(local)),
      remote_(std::move(remote)),
      config_(config),
      random_(seed),
      tie_breaker_(random_()),
      controlling_(!config.claim_controlled),
      next_check_(now),
      deadline_(now + config.consent_timeout) {}

std::optional<std::vector<uint8_t>> IceControlling::PollTransmit(Timestamp now) {
  if (now < next_check_ || now >= deadline_) return std::nullopt;
  // A retransmitted check keeps its transaction id (RFC 8489 section 6.2.1).
  if (!outstanding_) {
    StunTransactionId id;
    for (uint8_t& byte : id) byte = static_cast<uint8_t>(random_());
    outstanding_ = id;
    attempts_ = 0;
  }
  ScheduleRetransmit(now);
  return MakeCheck();
}

void IceControlling::ScheduleRetransmit(Timestamp now) {
  next_check_ = now + config_.retransmit_interval * (1 << std::min(attempts_, 3u));
  ++attempts_;
}

std::vector<uint8_t> IceControlling::MakeCheck() {
  StunWriter writer(StunClass::kRequest, kStunBinding, *outstanding_);
  writer.Username(remote_.ufrag + ":" + local_.ufrag);
  if (controlling_) {
    writer.IceControlling(tie_breaker_);
    if (config_.nominate) writer.UseCandidate();
  } else {
    writer.IceControlled(tie_breaker_);
  }
  writer.Priority(config_.priority);
  writer.MessageIntegrity(remote_.pwd);
  writer.Fingerprint();
  return writer.ToVector();
}

bool IceControlling::HandleStun(ByteView datagram, Timestamp now) {
  const auto message = ParseStun(datagram);
  if (!message || !outstanding_ || message->transaction_id != *outstanding_) return false;
  if (!VerifyStunIntegrity(*message, remote_.pwd)) return false;
  outstanding_.reset();
  if (message->message_class == StunClass::kError) {
    if (message->error_code == 487) {  // RFC 8445 section 7.2.5.1
      controlling_ = !controlling_;
      next_check_ = now;
    }
    return true;
  }
  if (message->message_class != StunClass::kSuccess) return false;
  connected_ = true;
  mapped_ = message->xor_mapped_address;
  deadline_ = now + config_.consent_timeout;
  // RFC 7675 section 5.1: randomised between 0.8 and 1.2 of the interval.
  const int64_t interval = config_.consent_interval.count();
  next_check_ =
      now + Duration(interval * 8 / 10 +
                     static_cast<int64_t>(random_() % static_cast<uint64_t>(interval * 4 / 10 + 1)));
  return true;
}

}  // namespace nexus
