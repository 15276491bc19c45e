// The ICE-lite side of one transport (RFC 8445 section 2.5) with consent seen from the answering side (RFC
// 7675): answers connectivity checks, remembers which addresses proved that they know our password, and which
// of them the peer nominated last. It sends nothing of its own and holds no socket.
//
// A peer may keep its NAT binding with indications or with media alone and send no more checks. So what
// arrives authenticated from the selected address is a sign of life beside the checks, and unless
// `strict_consent` is set, it is consent too: docs/decisions/0026.
//
// What is never answered: a request without USERNAME or MESSAGE-INTEGRITY, with another username, or with a
// wrong integrity. RFC 8489 section 9.1.3 would have a 400 or 401 sent; we drop and count, because the source
// address of such a request is unproved and an answer would be a reflector for whoever forges it. (RFC 8489
// section 9.1.3.1 lets a server discard; the peer's own timer then retransmits, and a peer with right
// credentials never meets this case.)
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
  bool strict_consent = false;      // consent to send comes of checks alone, as in RFC 7675 section 5.1
  size_t max_remote_addresses = 8;  // least recently checked goes first, never the selected one
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
  bool indication = false;     // a keepalive: neither answered nor rejected
  bool selected_changed = false;
  std::vector<uint8_t> response;         // to be sent to where the check came from; may be empty
  std::optional<SocketAddress> evicted;  // an address that no longer belongs to this transport
};

class IceLite {
 public:
  IceLite(IceCredentials local, IceCredentials remote, IceConfig config, Timestamp now);

  IceStunOutcome HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  // A packet from there has passed SRTP's or DTLS's authentication and was no replay. Called for each of
  // them.
  void NoteTraffic(const SocketAddress& from, Timestamp now) {
    if (selected_ == from) last_traffic_ = now;
  }

  // An authenticated check came from there (and it was not pushed out since).
  bool IsValidated(const SocketAddress& address) const;
  // The address nominated last; before any nomination the first that was validated. An address without
  // consent for `consent_timeout` gives way to the next one that is checked (RFC 7675: consent belongs to an
  // address, not to a session).
  const std::optional<SocketAddress>& selected() const { return selected_; }
  std::vector<SocketAddress> validated() const;
  // The path is gone for good (RFC 6544 section 5.1: a TCP connection was closed). Another validated address,
  // the one checked last, takes the place of a selected one.
  void Forget(const SocketAddress& address, Timestamp now);

  // New credentials (RFC 8445 section 9). The old selected address keeps media, and the old username is still
  // answered, until an address is nominated under the new ones. False when the credentials are not new or not
  // well-formed.
  bool Restart(IceCredentials local, IceCredentials remote, Timestamp now);
  bool restarting() const { return previous_.has_value(); }

  // Neither checks nor traffic for `consent_timeout`, or never connected within `connect_timeout`.
  bool expired(Timestamp now) const { return now >= next_deadline(); }
  Timestamp next_deadline() const { return std::max(deadline_, TrafficDeadline()); }
  // From then on nothing may be sent to the selected address.
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

  // The generation whose credentials the message was made with; null, and counted, when there is none.
  const Generation* Authenticate(const StunMessage& message);
  std::vector<uint8_t> Refuse(const StunMessage& message, const Generation& generation);
  // Notes the check; gives back what was pushed out of the full table.
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
  std::optional<Timestamp> last_traffic_;  // from whichever address was selected then
  Timestamp deadline_;                     // by checks alone
  IceCounters counters_;
};

}  // namespace nexus
