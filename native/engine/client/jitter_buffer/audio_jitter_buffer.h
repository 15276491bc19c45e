// Jitter buffer for audio: orders packets, and decides each time the device needs audio how to play the next
// packet or how to replace a missing one (`AudioDecision`; the decisions are those of NetEq). The caller
// decodes and stretches. The buffer's level follows its target only by stretching: after a packet that was
// lengthened or shortened, the device needs the next one later or sooner.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "engine/base/unwrap.h"
#include "engine/client/jitter_buffer/delay_estimator.h"
#include "engine/client/receive_stream.h"

namespace nexus {

struct AudioJitterBufferConfig {
  uint32_t clock_rate = 48'000;
  Duration packet_duration = std::chrono::milliseconds(20);  // until packets have shown it
  DelayEstimatorConfig delay = {.quantile = 0.97,
                                .min_target = std::chrono::milliseconds(20),
                                .max_target = std::chrono::milliseconds(1'000)};
  size_t max_packets = 200;
  // The packet after a lost one may contain an in-band FEC copy of it (RFC 7587 section 3.3).
  bool use_fec = true;
  // Maximum time of concealment without a packet; then the stream has ended or paused, and fades out.
  Duration max_concealment = std::chrono::milliseconds(120);
};

enum class AudioDecision : uint8_t {
  kSilence,       // not begun, or concealment has run out
  kNormal,        // decode and play
  kAccelerate,    // decode, shorten (by a pitch period or two), play
  kDecelerate,    // decode, lengthen, play
  kConceal,       // the codec's concealment for one packet's length
  kFec,           // `payload` is the packet behind: decode its in-band copy of the lost one
  kComfortNoise,  // the publisher's encoder sends nothing (DTX)
};

struct AudioPlayout {
  AudioDecision decision = AudioDecision::kSilence;
  // Set for kNormal, kAccelerate, kDecelerate, kFec; valid until the next Pull or Insert.
  ByteView payload;
  int64_t timestamp = 0;
  uint32_t source = 0;
  bool after_concealment = false;  // to be merged with the concealment's tail
};

struct AudioJitterBufferCounters {
  uint64_t played = 0;
  uint64_t concealed = 0;  // events, one packet's length each
  uint64_t fec = 0;
  uint64_t comfort_noise = 0;
  uint64_t accelerated = 0;
  uint64_t decelerated = 0;
  uint64_t late = 0;  // came after their time
  uint64_t duplicates = 0;
  uint64_t overflows = 0;  // packets dropped because the buffer was full
  uint64_t restarts = 0;   // another source, or its clock has jumped
};

class AudioJitterBuffer {
 public:
  explicit AudioJitterBuffer(const AudioJitterBufferConfig& config = {});

  void Insert(const ReceivedMedia& media, Timestamp now);
  // Returns the next audio for the device.
  AudioPlayout Pull(Timestamp now);

  Duration target() const { return delay_.target(); }
  Duration level() const;  // buffered time, including missing packets
  size_t packets() const { return packets_.size(); }
  const AudioJitterBufferCounters& counters() const { return counters_; }

 private:
  struct Packet {
    std::vector<uint8_t> payload;
    uint32_t source = 0;
  };
  using Packets = std::map<int64_t, Packet>;
  void Restart(int64_t timestamp);
  void LearnDuration(int64_t sequence, int64_t timestamp);
  int64_t Ticks(Duration duration) const { return duration.count() * config_.clock_rate / 1'000'000; }
  Duration Time(int64_t ticks) const { return Duration(ticks * 1'000'000 / config_.clock_rate); }
  AudioPlayout Play(Packets::iterator packet);
  AudioPlayout PlayNothing();
  AudioDecision Stretch() const;

  AudioJitterBufferConfig config_;
  DelayEstimator delay_;
  Unwrapper<uint32_t> timestamp_;
  Packets packets_;  // by timestamp
  std::vector<uint8_t> current_;
  int64_t duration_;  // of a packet, in ticks
  std::optional<int64_t> next_;
  std::optional<uint32_t> source_;
  std::optional<std::pair<int64_t, int64_t>> last_inserted_;  // sequence, timestamp
  bool playing_ = false;
  bool quiet_ = false;  // DTX
  int64_t concealed_ticks_ = 0;
  AudioJitterBufferCounters counters_;
};

}  // namespace nexus
