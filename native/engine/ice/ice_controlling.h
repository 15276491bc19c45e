// A controlling ICE agent for one pair (RFC 8445 section 7.2): what a client does towards our lite side.
// For tests and for a later client role; towards a lite peer a single pair is checked, nominated and kept by
// consent (RFC 7675). Transaction ids come from the seed: they guard against nothing here, MESSAGE-INTEGRITY
// does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "engine/ice/ice_credentials.h"
#include "engine/stun/stun_message.h"

namespace nexus {

struct IceControllingConfig {
  Duration retransmit_interval = std::chrono::milliseconds(250);  // doubles three times, then stays
  Duration consent_interval = std::chrono::seconds(5);            // times 0.8 to 1.2, RFC 7675 section 5.1
  Duration consent_timeout = std::chrono::seconds(30);
  uint32_t priority = 0x6E7F00FF;
  bool nominate = true;
  bool claim_controlled = false;  // start in the wrong role, to be corrected by a 487
};

class IceControlling {
 public:
  IceControlling(IceCredentials local, IceCredentials remote, IceControllingConfig config, uint64_t seed,
                 Timestamp now);

  // The next check that is due, or nothing.
  std::optional<std::vector<uint8_t>> PollTransmit(Timestamp now);
  // False when it was not an answer to one of ours.
  bool HandleStun(ByteView datagram, Timestamp now);
  bool connected() const { return connected_; }
  bool expired(Timestamp now) const { return now >= deadline_; }
  Timestamp next_deadline() const { return std::min(next_check_, deadline_); }
  // Our address as the peer saw it.
  const std::optional<SocketAddress>& mapped_address() const { return mapped_; }
  bool controlling() const { return controlling_; }

 private:
  std::vector<uint8_t> MakeCheck();
  void ScheduleRetransmit(Timestamp now);

  IceCredentials local_;
  IceCredentials remote_;
  IceControllingConfig config_;
  std::mt19937_64 random_;
  uint64_t tie_breaker_;
  bool controlling_;
  bool connected_ = false;
  unsigned attempts_ = 0;  // since the last answer
  std::optional<StunTransactionId> outstanding_;
  std::optional<SocketAddress> mapped_;
  Timestamp next_check_;
  Timestamp deadline_;
};

}  // namespace nexus
