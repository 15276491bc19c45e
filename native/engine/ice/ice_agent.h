// A full ICE agent of one component with one local base (RFC 8445): candidates of the peer become pairs,
// pairs are checked at the pace of Ta, one is nominated and kept by consent (RFC 7675). Controlling unless a
// role conflict says otherwise. It holds no socket and reads no clock. Towards a lite peer it is what a
// client is; towards a full peer it answers checks too and learns peer-reflexive candidates from them.
//
// Several local interfaces are several agents here: addresses behind a NAT need no pair of their own
// (section 6.1.2.4 replaces a server-reflexive base by its host), and TURN is a base like any other.
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
  Duration initial_rto =
      std::chrono::milliseconds(250);  // section 14.3 says 500 at least; browsers take less
  unsigned max_requests = 7;           // Rc, RFC 8489 section 6.2.1
  // Section 8.1.1 leaves to us how long a better pair is waited for once one works.
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
  uint64_t checks_answered = 0;  // of the peer, by us
  uint64_t responses = 0;        // to ours
  uint64_t role_conflicts = 0;
  uint64_t dropped_malformed = 0;
  uint64_t dropped_unexpected = 0;  // answers to nothing, unknown users
  uint64_t dropped_integrity = 0;
  uint64_t dropped_pairs_full = 0;
};

class IceAgent {
 public:
  IceAgent(IceCredentials local, IceAgentConfig config, uint64_t seed);

  // Checks begin. `remote` are the peer's credentials; candidates may come before or later (trickle, RFC
  // 8838).
  void Start(IceCredentials remote, Timestamp now);
  void AddRemoteCandidate(const IceRemoteCandidate& candidate, Timestamp now);
  // RFC 8445 section 9: new credentials on both sides, the same candidates again. Media keeps its pair until
  // another is nominated. False when the credentials are not new.
  bool Restart(IceCredentials local, IceCredentials remote, Timestamp now);

  // The next message that is due, or nothing. Call until nothing.
  std::optional<IceTransmit> PollTransmit(Timestamp now);
  void HandleStun(ByteView datagram, const SocketAddress& from, Timestamp now);
  Timestamp next_deadline() const;
  // Notices that time has passed: consent that was lost, a connection that never came.
  void HandleTimeout(Timestamp now);

  IceAgentState state() const { return state_; }
  // Where media goes: the nominated pair, before that the best that answered (section 12.1 allows it).
  const std::optional<SocketAddress>& selected() const { return selected_; }
  bool nominated() const { return nominated_; }
  // Whether data from there is looked at: it answered a check of ours or proved itself by one of its own.
  bool IsValidated(const SocketAddress& address) const;
  const std::optional<SocketAddress>& mapped_address() const { return mapped_; }
  bool controlling() const { return controlling_; }
  const IceCredentials& local() const { return local_; }
  Duration rtt() const { return rtt_; }  // of the last answered check that was sent once
  const IceAgentCounters& counters() const { return counters_; }
  size_t pair_count() const { return pairs_.size(); }

 private:
  enum class PairState : uint8_t { kWaiting, kInProgress, kSucceeded, kFailed };  // section 6.1.2.6
  struct Pair {
    IceRemoteCandidate remote;
    uint64_t priority = 0;
    PairState state = PairState::kWaiting;
    bool triggered = false;
    bool nominate = false;          // the next check carries USE-CANDIDATE
    bool remote_nominated = false;  // we are controlled and the peer chose it
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
