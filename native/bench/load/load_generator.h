// The load's loop on one thread: one socket, thousands of peers, their deadlines, and what the generator
// itself costs. It knows no signaling: whoever runs it says who the peers are (load_script, local_server).
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
  // Credentials that the SFU is told before the peer is added.
  static IceCredentials CredentialsOf(uint32_t peer);

  // Indices count from 0 without a hole.
  LoadPeer& AddPeer(std::vector<CodecBinding> codecs, const RtpExtensionIds& extensions);
  void Connect(LoadPeer& peer, const ClientRemote& remote);
  // Peers that are added from now on belong to people who set out now. Without it: when they are added.
  void BeginJoining() { joining_ = Now(); }
  // The peer has something to do now that it did not have before (streams were added).
  void Touch(LoadPeer& peer);

  // Runs until `end`, or until `done` says so between two batches.
  void RunUntil(
      Timestamp end, const std::function<bool()>& done = [] { return false; });
  // Everything that is counted begins anew; the calls go on.
  void BeginMeasuring();
  // One JSON object without braces: what was measured since.
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
  // Of the receive streams of peers that are connected: how many there are, and how many got nothing since.
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
  DeadlineHeap deadlines_;
  std::vector<std::unique_ptr<LoadPeer>> peers_;
  std::vector<LoadPeer*> dirty_;
  WallClockOffset clock_;
  Timestamp now_{};
  std::optional<Timestamp> joining_;
  Baseline baseline_;
  std::unordered_map<const ReceiveStream*, uint64_t> packets_before_;
};

}  // namespace nexus::load
