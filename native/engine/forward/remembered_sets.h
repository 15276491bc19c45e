// Parameter sets of an H.264 source, kept for those who begin to watch at a keyframe that comes without them.
// A slot that begins there sends them in front, as a packet of its own sequence, which is answered to a NACK
// as any other.
#pragma once

#include <array>
#include <limits>

#include "engine/codec/h264/parameter_sets.h"
#include "engine/forward/packet_ring.h"

namespace nexus {

class RememberedSets {
 public:
  // Each packet once it is in the ring. An IDR that begins an access unit without parameter sets, while they
  // are known, becomes the beginning of a keyframe that needs them.
  void OnPacket(PacketRing& ring, SourcePacket& stored);
  // Of the same source on another shard: its `packet()` there.
  void OnRelayed(ByteView payload, LayerId layer) { Learn(payload, layer); }
  // Whether a number is of a `packet()`.
  static bool IsNumber(int64_t number) { return number < kFirstNumber / 2; }
  // Another codec.
  void Forget() { *this = {}; }

  // To be sent in front of such a keyframe; its number tells which sets it holds and is none of the source's.
  const SourcePacket* packet() const;
  // One that was sent; the last two are kept.
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
