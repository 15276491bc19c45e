// The ICE-lite side of one transport (RFC 8445 section 2.5), with consent at the answering side (RFC 7675).
// It answers connectivity checks, and remembers which addresses have proved that they know our password and
// which of them the peer nominated last. It sends nothing of its own and has no socket.
//
// A peer may keep its NAT binding by indications or media alone, without further checks. Therefore
// authenticated packets from the selected address count as a sign of life like checks do and, unless
// `strict_consent` is set, as consent: docs/decisions/0026.
//
// Requests without USERNAME or MESSAGE-INTEGRITY, with another username or with a wrong integrity are not
// answered but dropped and counted. RFC 8489 section 9.1.3 requires a 400 or 401, but the source of such a
// request is unverified, and an answer could be reflected to a forged address. (RFC 8489 section 9.1.3.1 lets
// a server discard; a peer with valid credentials never meets this case.)
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "engine/ice/ice_credentials.h"
#include "engine/stun/stun_message.h"

namespace nexus {

struct IceConfig {
  Duration consent_timeout = std::chrono::seconds(30);  // RFC 7675 section 5.1
  Duration connect_timeout = std::chrono::seconds(30);  // from creation to the first valid check
  bool strict_consent = false;      // only checks give consent to send, as in RFC 7675 section 5.1
  size_t max_remote_addresses = 8;  // the least recently checked is evicted, never the selected one
};

struct IceCounters {
  uint64_t checks = 0;       // authenticated Binding requests that were answered with success
  uint64_t indications = 0;  // Binding indications: keepalives, never answered
  uint64_t nominations = 0;  // changes of the selected address
  uint64_t evicted = 0;      // addresses pushed out of the full table
  uint64_t role_conflicts = 0;
  uint64_t dropped_malformed = 0;
  uint64_t dropped_fingerprint = 0;
  uint64_t dropped_username = 0;
  uint64_t dropped_integrity = 0;
  uint64_t dropped_unexpected = 0;  // responses and other methods
  uint64_t bad_requests = 0;        // authenticated but answered with 400 or 420
};

struct IceStunOutcome {
  bool authenticated = false;  // the address belongs to this transport from now on
  bool indication = false;     // a keepalive, neither answered nor rejected
  bool selected_changed = false;
  std::vector<uint8_t> response;         // to be sent to the source of the check; may be empty
  std::optional<SocketAddress> evicted;  // an address that no longer belongs to this transport
};

class IceLite {
 public:
  IceLite(IceCredentials local, IceCredentials remote, IceConfig config, Timestamp now);

  IceStunOutcome HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  // To be called for each packet that passed the authentication and replay check of SRTP or DTLS.
  void NoteTraffic(const SocketAddress& from, Timestamp now) {
    if (selected_ == from) last_traffic_ = now;
  }

  // True if an authenticated check came from this address, which has not been evicted since.
  bool IsValidated(const SocketAddress& address) const;
  // The address nominated last or, before any nomination, the first that was validated. An address without
  // consent for `consent_timeout` is replaced by the next one that is checked (RFC 7675: consent belongs to
  // an address, not to a session).
  const std::optional<SocketAddress>& selected() const { return selected_; }
  std::vector<SocketAddress> validated() const;
  // Removes a path that has ended (RFC 6544 section 5.1: a closed TCP connection). If it was selected, the
  // validated address that was checked last replaces it.
  void Forget(const SocketAddress& address, Timestamp now);

  // Sets new credentials (RFC 8445 section 9). Until an address is nominated with them, media stays on the
  // selected address and the old username is still answered. False if the credentials are not new or not
  // well-formed.
  bool Restart(IceCredentials local, IceCredentials remote, Timestamp now);
  bool restarting() const { return previous_.has_value(); }

  // True after `consent_timeout` without checks and traffic, or if no connection was made within
  // `connect_timeout`.
  bool expired(Timestamp now) const { return now >= next_deadline(); }
  Timestamp next_deadline() const { return std::max(deadline_, TrafficDeadline()); }
  // When consent to send to the selected address ends.
  Timestamp consent_deadline() const { return config_.strict_consent ? deadline_ : next_deadline(); }

  const IceCredentials& local() const { return current_.local; }
  const IceCredentials& remote() const { return current_.remote; }
  const IceCounters& counters() const { return counters_; }

 private:
  struct Generation {
    IceCredentials local;
    IceCredentials remote;
  };
  struct RemoteAddress {
    SocketAddress address;
    Timestamp last_check;
  };

  // The generation with the message's credentials; null, and counted, if there is none.
  const Generation* Authenticate(const StunMessage& message);
  std::vector<uint8_t> Refuse(const StunMessage& message, const Generation& generation);
  // Records the check; returns the address that was evicted from the full table.
  std::optional<SocketAddress> Remember(const SocketAddress& from, Timestamp now);
  bool Select(const SocketAddress& from, bool nominates, bool under_current, Timestamp now);
  bool SelectedLostConsent(Timestamp now) const;
  void SetSelected(const std::optional<SocketAddress>& address, Timestamp now);
  Timestamp TrafficDeadline() const {
    return last_traffic_ ? *last_traffic_ + config_.consent_timeout : Timestamp::min();
  }

  IceConfig config_;
  Generation current_;
  std::optional<Generation> previous_;
  std::vector<RemoteAddress> remotes_;
  std::optional<SocketAddress> selected_;
  Timestamp selected_since_{};
  std::optional<Timestamp> last_traffic_;  // from the address selected at the time
  Timestamp deadline_;                     // by checks only
  IceCounters counters_;
};

}  // namespace nexus
