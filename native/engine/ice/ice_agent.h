// A full ICE agent for one component with one local base (RFC 8445): the peer's candidates become pairs,
// which are checked once per Ta; one is nominated and kept by consent (RFC 7675). It is controlling unless a
// role conflict changes that. It has no socket and reads no clock. With a lite peer it acts as a client; with
// a full peer it also answers checks and learns peer-reflexive candidates from them.
//
// Several local interfaces need several agents: addresses behind a NAT need no pair of their own (section
// 6.1.2.4 replaces a server-reflexive base by its host), and TURN is a base like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "engine/base/socket_address.h"
#include "engine/base/time.h"
#include "engine/ice/ice_credentials.h"
#include "engine/stun/stun_message.h"

namespace nexus {

struct IceAgentConfig {
  Duration pacing = std::chrono::milliseconds(50);  // Ta, RFC 8445 section 14.2
  // Section 14.3 requires at least 500 ms; browsers use less.
  Duration initial_rto = std::chrono::milliseconds(250);
  unsigned max_requests = 7;  // Rc, RFC 8489 section 6.2.1
  // How long to wait for a better pair after one works; section 8.1.1 leaves this open.
  Duration nomination_patience = std::chrono::milliseconds(150);
  Duration consent_interval = std::chrono::seconds(5);  // times 0.8 to 1.2, RFC 7675 section 5.1
  Duration consent_timeout = std::chrono::seconds(30);
  Duration connect_timeout = std::chrono::seconds(30);
  size_t max_pairs = 32;
  uint32_t local_priority = 0x7E7F00FF;  // host candidate, local preference 127: section 5.1.2.1
  bool controlling = true;
};

enum class IceAgentState : uint8_t { kNew, kChecking, kConnected, kFailed };

struct IceRemoteCandidate {
  SocketAddress address;
  uint32_t priority = 0;
};

struct IceTransmit {
  SocketAddress to;
  std::vector<uint8_t> bytes;
};

struct IceAgentCounters {
  uint64_t checks_sent = 0;
  uint64_t checks_answered = 0;  // the peer's
  uint64_t responses = 0;        // to our checks
  uint64_t role_conflicts = 0;
  uint64_t dropped_malformed = 0;
  uint64_t dropped_unexpected = 0;  // responses without a request, unknown usernames
  uint64_t dropped_integrity = 0;
  uint64_t dropped_pairs_full = 0;
};

class IceAgent {
 public:
  IceAgent(IceCredentials local, IceAgentConfig config, uint64_t seed);

  // Starts the checks. `remote` are the peer's credentials; candidates may be added before or later (trickle
  // ICE, RFC 8838).
  void Start(IceCredentials remote, Timestamp now);
  void AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now);
  // Restarts ICE (RFC 8445 section 9) with new credentials on both sides and the same candidates. Media stays
  // on its pair until another is nominated. False if the credentials are not new.
  bool Restart(IceCredentials local, IceCredentials remote, Timestamp now);

  // The next message that is due, if any. To be called until it returns nothing.
  std::optional<IceTransmit> PollTransmit(Timestamp now);
  void HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  Timestamp next_deadline() const;
  // Handles timeouts: consent that was lost, or a connection that failed.
  void HandleTimeout(Timestamp now);

  IceAgentState state() const { return state_; }
  // Destination of media: the nominated pair, or before that the best that answered (section 12.1 allows
  // this).
  const std::optional<SocketAddress>& selected() const { return selected_; }
  bool nominated() const { return nominated_; }
  // True if data from `address` is accepted: the address answered our check, or sent a valid check itself.
  bool IsValidated(const SocketAddress& address) const;
  const std::optional<SocketAddress>& mapped_address() const { return mapped_; }
  bool controlling() const { return controlling_; }
  const IceCredentials& local() const { return local_; }
  Duration rtt() const { return rtt_; }  // of the last answered check that was not repeated
  const IceAgentCounters& counters() const { return counters_; }
  size_t pair_count() const { return pairs_.size(); }

 private:
  enum class PairState : uint8_t { kWaiting, kInProgress, kSucceeded, kFailed };  // section 6.1.2.6
  struct Pair {
    IceRemoteCandidate remote;
    uint64_t priority = 0;
    PairState state = PairState::kWaiting;
    bool triggered = false;
    bool nominate = false;          // the next check contains USE-CANDIDATE
    bool remote_nominated = false;  // nominated by the peer, which is controlling
    unsigned requests = 0;
    StunTransactionId transaction{};
    Timestamp sent{};
    Timestamp resend_at = kNever;
  };

  bool HandleRequest(const StunMessage& message, const SocketAddress& from, Timestamp now);
  void HandleResponse(const StunMessage& message, const SocketAddress& from, Timestamp now);
  void OnSuccess(Pair& pair, Timestamp now);
  void Fail(Pair& pair);
  void OnConflictAnswer(Pair& pair, Timestamp now);
  void SwitchRole();
  void Respond(const StunMessage& request, const SocketAddress& to, bool conflict);
  Pair* PairFor(const SocketAddress& address);
  Pair* AddPair(const IceRemoteCandidate& candidate);
  Pair* NextToCheck();
  void MaybeNominate(Timestamp now);
  void Select(const Pair& pair, bool nominated, Timestamp now);
  std::vector<uint8_t> MakeCheck(Pair& pair, bool fresh, Timestamp now);
  void ScheduleConsent(Timestamp now);
  std::optional<IceTransmit> PollCheck(Timestamp now);
  uint64_t PairPriority(uint32_t remote) const;

  IceCredentials local_;
  IceCredentials remote_;
  IceAgentConfig config_;
  std::mt19937_64 random_;
  uint64_t tie_breaker_;
  bool controlling_;
  bool started_ = false;
  IceAgentState state_ = IceAgentState::kNew;
  std::vector<Pair> pairs_;  // by priority, highest first
  std::vector<IceTransmit> answers_;
  std::optional<SocketAddress> selected_;
  std::optional<SocketAddress> mapped_;
  bool nominated_ = false;
  Timestamp first_success_ = kNever;
  Timestamp next_check_{};           // Ta
  Timestamp next_consent_ = kNever;  // RFC 7675
  StunTransactionId consent_{};
  bool consent_outstanding_ = false;
  Timestamp deadline_ = kNever;  // connect or consent timeout
  Duration rtt_{100'000};
  IceAgentCounters counters_;
};

}  // namespace nexus
