// Batch of the packets that are sent in one tick: packets in an arena, linked into runs of one destination
// and one length, as UDP GSO requires (the last packet of a run may be shorter). Order per destination is
// kept. Nothing is allocated once the arena has grown to what a tick needs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/socket_address.h"

namespace nexus {

inline constexpr uint32_t kNoPacket = UINT32_MAX;
inline constexpr uint32_t kNoRun = UINT32_MAX;
// Maximum size of a UDP datagram over IPv4, which is also the most that one GSO call takes.
inline constexpr size_t kMaxRunBytes = 65'507;
inline constexpr size_t kMaxRunSegments = 64;

struct TransmitPacket {
  const uint8_t* bytes = nullptr;
  uint16_t size = 0;
  uint32_t next = kNoPacket;  // of the same run
};

struct TransmitRun {
  SocketAddress destination;
  uint32_t first = kNoPacket;
  uint32_t last = kNoPacket;
  uint32_t bytes = 0;
  uint16_t segment_size = 0;
  uint16_t count = 0;  // 0: its packet was moved to another run
  bool closed = false;
  uint32_t previous = kNoRun;  // of the same destination, in this batch
};

// The open run of one destination, so that appending needs no look-up. Kept by the sender.
struct RunCursor {
  uint64_t batch = 0;
  uint32_t run = 0;
};

class RunBuilder {
 public:
  explicit RunBuilder(size_t max_bytes = 16u << 20) : max_bytes_(max_bytes) {}

  // Space for one packet of at most `size` bytes; empty when the batch is full. Valid until Commit or the
  // next Reserve.
  MutableByteView Reserve(size_t size);
  // Appends the first `size` bytes of the last reservation.
  void Commit(RunCursor& cursor, const SocketAddress& destination, size_t size);
  // Appends a packet that joins no run (STUN, DTLS).
  void CommitSingle(const SocketAddress& destination, size_t size);
  // Copies a packet in; false when the batch is full.
  bool Append(RunCursor& cursor, const SocketAddress& destination, ByteView packet);
  bool AppendSingle(const SocketAddress& destination, ByteView packet);

  // When the batch is complete: a single packet is moved to the end of another run of its destination, if
  // that changes the order of no stream. An audio packet that came just before a video frame is sent after
  // it.
  void Arrange();

  const std::vector<TransmitRun>& runs() const { return runs_; }
  const TransmitPacket& packet(uint32_t index) const { return packets_[index]; }
  size_t packet_count() const { return packets_.size(); }
  size_t bytes() const { return bytes_; }
  bool empty() const { return runs_.empty(); }
  void Clear();

 private:
  static constexpr size_t kChunkSize = 256u << 10;

  uint32_t AddPacket(size_t size);
  void OpenRun(const SocketAddress& destination, uint32_t packet, bool closed, uint32_t previous = kNoRun);
  void Link(TransmitRun& run, uint32_t packet);
  bool Holds(const TransmitRun& run, uint32_t stream) const;
  void Arrange(uint32_t run);

  size_t max_bytes_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  size_t chunk_ = 0;
  size_t chunk_used_ = 0;
  size_t bytes_ = 0;
  uint64_t batch_ = 1;
  std::vector<TransmitPacket> packets_;
  std::vector<TransmitRun> runs_;
};

}  // namespace nexus
