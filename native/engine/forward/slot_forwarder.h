// A slot: one outgoing SSRC with one sequence and one time line for life. Binding another source, switching a
// layer and resuming are the same operation: wait for a keyframe (not for audio), then continue without a
// gap.
#pragma once

#include <bitset>

#include "engine/base/prefetch.h"
#include "engine/base/sequence_map.h"
#include "engine/codec/payload_rewriter.h"
#include "engine/forward/layer_selector.h"
#include "engine/forward/packet_ring.h"
#include "engine/forward/slot_timeline.h"
#include "engine/forward/source_packet.h"
#include "engine/forward/source_time_map.h"

namespace nexus {

struct SlotConfig {
  bool video = false;
  uint32_t clock_rate = 90'000;
  // Random. Its top bit is cleared, so that no receiver meets a wrap at the start.
  uint16_t initial_sequence = 0;
  uint32_t initial_timestamp = 0;  // random
  Timestamp created;
};

struct SlotSource {
  LayerId layer;
  uint32_t csrc = 0;  // the source's number, issued by the room
  Codec codec = Codec::kVp8;
};

// The values that differ from the source's packet.
struct Rewritten {
  int64_t sequence_number = 0;  // 64 bits: SRTP's index; the low 16 bits are sent
  uint32_t timestamp = 0;
  bool marker = false;
  uint32_t csrc = 0;
  // First packet of a binding. If the ring already contains later packets of the source (reordering, a
  // replayed keyframe), forward them now, because they are not sent otherwise.
  bool first_of_binding = false;
  // The number before this one belongs to the source's parameter sets: send them first.
  bool sets_in_front = false;
  // Only the header is sent: the packet's layer is not sent, but its number was already missed.
  bool empty = false;
  CodecPatch patch;
  DescriptorPatch descriptor;  // for the dependency descriptor
};

struct SlotCounters {
  uint64_t forwarded = 0;
  uint64_t waiting_for_keyframe = 0;  // dropped
  uint64_t before_switch = 0;         // dropped: late packets from before the binding's first
  uint64_t duplicates = 0;            // dropped
  uint64_t too_old = 0;               // dropped: older than the window in which repeats are detected
  uint64_t probes = 0;                // left out: padding only
  uint64_t layers_left_out = 0;       // packets of layers above the target
  uint64_t holes_closed = 0;          // sent empty: late packets of such a layer
  uint64_t padding = 0;               // numbers of packets with only padding
  uint64_t held = 0;                  // dropped: their structure is missing
  uint64_t source_restarts = 0;       // jumps in the source's numbers, treated as new bindings
  uint64_t time_corrections = 0;
  uint64_t time_jumps = 0;  // jumps of the source's RTP time against the arrival
  uint64_t switches = 0;
};

class SlotForwarder {
 public:
  explicit SlotForwarder(const SlotConfig& config);

  // The time of the switch is that of the first packet.
  void Bind(const SlotSource& source);
  void Unbind();
  bool bound() const { return source_.has_value(); }
  const std::optional<SlotSource>& source() const { return source_; }
  // True while a bound video source has not sent a keyframe: request one.
  bool waiting_for_keyframe() const { return source_ && !started_ && config_.video; }

  // Sets the highest layers of the source to forward; kept across bindings.
  void SetLimit(LayerTarget limit) { selector_.SetLimit(limit); }
  LayerTarget layer() const { return selector_.current(); }
  // True if the limit cannot be reached without a keyframe.
  bool wants_keyframe() const { return started_ && selector_.wants_keyframe(); }

  // Enables forwarding of dependency descriptors, beginning with the next structure; initially true.
  void ForwardDescriptors(bool forward) { rewriter_.ForwardDescriptors(forward); }

  void Prefetch() const {
    PrefetchForWrite(&source_, 2 * kCacheLine);
    sequence_.Prefetch();
    time_.Prefetch();
    PrefetchForWrite(&sent_, sizeof sent_ + kCacheLine);
    PrefetchForWrite(&rewriter_, 2 * kCacheLine);
    PrefetchForWrite(&counters_, kCacheLine);
  }
  // Nothing if this packet is not to be sent; the counters show the reason. `layer` must be the packet's.
  std::optional<Rewritten> Forward(LayerId layer, const SourcePacket& packet);

  // The next number, for a packet with only padding; nothing if padding is not allowed here: within a frame,
  // or before the first.
  std::optional<Rewritten> TakePadding();

  // For sender reports: the slot's RTP time at `now`.
  uint32_t RtpTimestampAt(Timestamp now) const { return static_cast<uint32_t>(timeline_.RtpAt(now)); }
  std::optional<int64_t> highest_sequence() const;
  const SlotCounters& counters() const { return counters_; }

 private:
  static constexpr int64_t kRepeatWindow = 1024;
  static constexpr int64_t kMaxSourceJump = 3000;

  bool CanStart(const SourcePacket& packet) const;
  void Start(const SourcePacket& packet);
  bool IsRestart(const SourcePacket& packet) const;
  bool Sent(int64_t out) const;
  void MarkSent(int64_t out);
  void PutSetsInFront(const SourcePacket& packet, Rewritten& rewritten);
  bool LeaveOut(const SourcePacket& packet, LayerVerdict verdict, Rewritten& rewritten);
  std::optional<int64_t> MapSequence(const SourcePacket& packet);
  void StartTime(const SourcePacket& packet);
  void FollowTime(const SourcePacket& packet);
  bool TimeHasJumped(const SourcePacket& packet) const;
  void CorrectTime(const SourcePacket& packet);
  Duration Tolerance(const SourcePacket& packet) const;
  int64_t OutgoingTime(const SourcePacket& packet) const;

  SlotConfig config_;
  SlotTimeline timeline_;
  std::optional<SlotSource> source_;
  bool started_ = false;  // the binding's first packet was sent
  bool any_sent_ = false;
  int64_t highest_out_;                // highest sequence number sent
  bool highest_marker_ = true;         // that packet ended its frame
  int64_t last_timestamp_ = 0;         // highest outgoing, unwrapped
  int64_t last_source_timestamp_ = 0;  // highest since the source's time began or jumped
  Timestamp last_arrival_{};           // of that frame
  SequenceMap sequence_;
  SourceTimeMap time_;
  std::bitset<kRepeatWindow> sent_;
  LayerSelector selector_;
  PayloadRewriter rewriter_;
  SlotCounters counters_;
};

}  // namespace nexus
