// Parameter sets of an H.264 source, for viewers that begin at a keyframe without them. A slot that begins
// there sends them first, in a packet with its own sequence number, which is retransmitted on a NACK like any
// other.
#pragma once

#include <array>
#include <limits>

#include "engine/codec/h264/parameter_sets.h"
#include "engine/forward/packet_ring.h"

namespace nexus {

class RememberedSets {
 public:
  // To be called for each packet in the ring. If an IDR begins an access unit without parameter sets and they
  // are known, the packet becomes the start of a keyframe that needs them.
  void OnPacket(PacketRing& ring, SourcePacket& stored);
  // Learns from the same source on another shard: its `packet()` there.
  void OnRelayed(ByteView payload, LayerId layer) { Learn(payload, layer); }
  // True if the number belongs to a `packet()`.
  static bool IsNumber(int64_t number) { return number < kFirstNumber / 2; }
  // For a change of the codec.
  void Forget() { *this = {}; }

  // The packet to send before such a keyframe; its number identifies the sets and is none of the source's.
  const SourcePacket* packet() const;
  // A packet that was sent; the last two are kept.
  const SourcePacket* Find(int64_t number) const;

 private:
  static constexpr int64_t kFirstNumber = std::numeric_limits<int64_t>::min();
  struct Version {
    std::vector<uint8_t> payload;
    SourcePacket packet;
  };

  void Learn(ByteView payload, LayerId layer);
  bool BeginsAccessUnit(const PacketRing& ring, const SourcePacket& idr) const;

  ParameterSets sets_;
  uint32_t count_ = 0;
  std::array<Version, 2> versions_;
};

}  // namespace nexus
