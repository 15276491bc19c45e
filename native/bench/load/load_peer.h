// One participant of a load: a client with the media that it publishes and receives, and its measurements.
#pragma once

#include <array>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/load/load_media.h"
#include "bench/load/watched_stream.h"
#include "engine/base/deadline_heap.h"
#include "engine/client/client.h"
#include "engine/client/packetizer.h"

namespace nexus::load {

struct PublishSpec {
  SendStreamConfig stream;
  uint64_t bitrate_bps = 0;
  unsigned frames_per_second = 30;  // video
  size_t audio_bytes = 80;          // 32 kbit/s at 20 ms
};

class LoadPeer {
 public:
  LoadPeer(uint32_t index, ClientConfig config, RunBuilder& out, LoadTotals& totals);

  void Publish(const PublishSpec& spec);
  void Receive(const ReceiveStreamConfig& config, Timestamp now);
  void Connect(const ClientRemote& remote, Timestamp now);
  void HandleDatagram(MutableByteView datagram, const SocketAddress& from, Timestamp received, Timestamp now);
  // Simulates a poor network: this percentage of the incoming media and feedback is dropped.
  void SetLoss(double percent) { loss_ = percent / 100; }
  void RequestKeyframes();
  uint64_t lost_on_purpose() const { return lost_on_purpose_; }
  // Sends the feedback and media that are due.
  void HandleTimeout(Timestamp now);
  Timestamp NextDeadline() const;

  uint32_t index() const { return index_; }
  Client& client() { return client_; }
  const Client& client() const { return client_; }
  const std::unordered_map<const ReceiveStream*, WatchedStream>& watched() const { return watched_; }
  // Steps of joining the call. Zero: not reached yet.
  struct Steps {
    Timestamp joining{};     // the participant, before any signaling
    Timestamp connecting{};  // first packet of this connection
    Timestamp connected{};
  };
  Steps steps;
  DeadlineHeap<LoadPeer*>::Deadline deadline{this};
  bool dirty = false;

 private:
  struct Encoding {
    SendStream* stream;
    FrameSizes sizes;
  };
  struct Source {
    PublishSpec spec;
    std::vector<Encoding> encodings;
    std::vector<Packetizer> packetizers;
    Timestamp next;
    Timestamp first;

    // RTP timestamp of the frame that is due, by the source's clock: a frame that is sent late keeps its own
    // time.
    uint32_t DueTimestamp(uint32_t clock_rate_khz) const {
      return static_cast<uint32_t>((next - first).count() * clock_rate_khz / 1'000);
    }
  };
  void SendFrame(Source& source, Timestamp now);
  void SendAudio(Source& source, Timestamp now);
  void NoteConnected(Timestamp now);

  uint32_t index_;
  double loss_ = 0;
  uint64_t lost_on_purpose_ = 0;
  std::minstd_rand random_;
  Client client_;
  LoadTotals& totals_;
  std::vector<Source> sources_;  // the encodings of one MID are one source
  std::vector<uint8_t> frame_;
  std::unordered_map<const ReceiveStream*, WatchedStream> watched_;
};

}  // namespace nexus::load
