// A controlling ICE agent for a single pair (RFC 8445 section 7.2), as the client of a lite peer, for tests:
// the pair is checked, nominated and kept by consent (RFC 7675). Transaction ids come from the seed; they
// need not be secret, because MESSAGE-INTEGRITY authenticates the responses.
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
  Duration retransmit_interval = std::chrono::milliseconds(250);  // doubles three times, then stays constant
  Duration consent_interval = std::chrono::seconds(5);            // times 0.8 to 1.2, RFC 7675 section 5.1
  Duration consent_timeout = std::chrono::seconds(30);
  uint32_t priority = 0x6E7F00FF;
  bool nominate = true;
  bool claim_controlled = false;  // starts in the wrong role, which a 487 response corrects
};

class IceControlling {
 public:
  IceControlling(IceCredentials local, IceCredentials remote, IceControllingConfig config, uint64_t seed,
                 Timestamp now);

  // The next check that is due, if any.
  std::optional<std::vector<uint8_t>> PollTransmit(Timestamp now);
  // False if it is not a response to an own check.
  bool HandleStun(ByteView datagram, Timestamp now);
  bool connected() const { return connected_; }
  bool expired(Timestamp now) const { return now >= deadline_; }
  Timestamp next_deadline() const { return std::min(next_check_, deadline_); }
  // Our address as seen by the peer.
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
