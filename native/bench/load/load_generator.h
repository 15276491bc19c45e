// The load's event loop on one thread: one socket, thousands of peers with their deadlines, and the
// generator's own cost. It knows no signaling: its user describes the peers (load_script, local_server).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/load/load_peer.h"
#include "bench/load/load_socket.h"

namespace nexus::load {

struct LoadOptions {
  LoadSocketOptions socket;
  uint32_t open_one_in = 32;
};

class LoadGenerator {
 public:
  LoadGenerator(LoadSocket socket, const LoadOptions& options);

  const std::string& fingerprint() const { return certificate_->fingerprint(); }
  SocketAddress AddressOf(uint32_t peer) const { return socket_.AddressOf(peer); }
  // Credentials of a peer, which the SFU needs before the peer is added.
  static IceCredentials CredentialsOf(uint32_t peer);

  // Adds a peer; indices count up from 0.
  LoadPeer& AddPeer(std::vector<CodecBinding> codecs, const RtpExtensionIds& extensions);
  void Connect(LoadPeer& peer, const ClientRemote& remote);
  // Sets the joining time of all peers added from now on to now. Without it, it is the time when each is
  // added.
  void BeginJoining() { joining_ = Now(); }
  // Reschedules a peer that has new work (streams were added).
  void Touch(LoadPeer& peer);

  // Runs until `end`, or until `done` returns true between two batches.
  void RunUntil(
      Timestamp end, const std::function<bool()>& done = [] { return false; });
  // Resets all counters; the calls continue.
  void BeginMeasuring();
  // Measurements since BeginMeasuring, as one JSON object without braces.
  std::string Report() const;
  size_t connected() const;
  size_t ended() const;
  const std::vector<std::unique_ptr<LoadPeer>>& peers() const { return peers_; }
  double cpu_share() const;
  const LoadTotals& totals() const { return totals_; }
  void CloseAll();

 private:
  struct Baseline {
    Timestamp began;
    double cpu_seconds = 0;
    LoadSocketCounters socket;
    uint64_t expected = 0;
    int64_t lost = 0;
    uint64_t repaired = 0;
    uint64_t nacks = 0;
    uint64_t lost_on_purpose = 0;
    uint64_t plis = 0;
    uint64_t pictures = 0;
    uint64_t freezes = 0;
  };
  Timestamp Now();
  void ReadSocket();
  void RunDue(Timestamp now);
  void Mark(LoadPeer& peer);
  void Reschedule();
  void NoteOwners(uint32_t peer);
  void Flush();
  Baseline Sum() const;
  // Number of receive streams of connected peers, and of those without a packet since measuring began.
  struct Silence {
    size_t streams = 0;
    size_t silent = 0;
  };
  Silence CountSilent() const;
  size_t CountProfile(SrtpProfile profile) const;

  LoadSocket socket_;
  LoadOptions options_;
  std::shared_ptr<const DtlsCertificate> certificate_;
  RunBuilder out_{256u << 20};
  std::vector<uint32_t> owners_;  // of the runs in `out_`
  LoadTotals totals_;
  DeadlineHeap<LoadPeer*> deadlines_;
  std::vector<std::unique_ptr<LoadPeer>> peers_;
  std::vector<LoadPeer*> dirty_;
  WallClockOffset clock_;
  Timestamp now_{};
  std::optional<Timestamp> joining_;
  Baseline baseline_;
  std::unordered_map<const ReceiveStream*, uint64_t> packets_before_;
};

}  // namespace nexus::load
