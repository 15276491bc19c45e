#include "engine/transmit/run_builder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace nexus {
namespace {

// Number of earlier runs of a destination that are searched: a batch has a frame or two and some audio
// packets for each.
constexpr size_t kMaxLookBack = 8;

// The SSRC of an RTP packet, which SRTP leaves readable. All other packets (RFC 7983 section 7, RFC 5761
// section 4) count as one stream.
uint32_t StreamOf(const TransmitPacket& packet) {
  const ByteView bytes(packet.bytes, packet.size);
  if (bytes.size() < 12 || (bytes[0] & 0xC0) != 0x80 || (bytes[1] >= 192 && bytes[1] <= 223)) return 0;
  return ByteReader(bytes.subspan(8)).U32();
}

// A longer segment inside a run would be cut wrongly by the kernel; the first shorter one ends it.
bool Takes(const TransmitRun& run, size_t size) {
  return !run.closed && size <= run.segment_size && run.count < kMaxRunSegments &&
         run.bytes + size <= kMaxRunBytes;
}

}  // namespace

MutableByteView RunBuilder::Reserve(size_t size) {
  if (size > kChunkSize) return {};
  if (chunk_ < chunks_.size() && kChunkSize - chunk_used_ < size) {
    ++chunk_;
    chunk_used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    if ((chunks_.size() + 1) * kChunkSize > max_bytes_) return {};
    chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(kChunkSize));
    chunk_used_ = 0;
  }
  return MutableByteView(chunks_[chunk_].get() + chunk_used_, size);
}

uint32_t RunBuilder::AddPacket(size_t size) {
  packets_.push_back({chunks_[chunk_].get() + chunk_used_, static_cast<uint16_t>(size), kNoPacket});
  chunk_used_ += size;
  bytes_ += size;
  return static_cast<uint32_t>(packets_.size() - 1);
}

void RunBuilder::OpenRun(const SocketAddress& destination, uint32_t packet, bool closed, uint32_t previous) {
  const uint16_t size = packets_[packet].size;
  runs_.push_back({destination, packet, packet, size, size, 1, closed, previous});
}

void RunBuilder::Link(TransmitRun& run, uint32_t packet) {
  const uint16_t size = packets_[packet].size;
  packets_[run.last].next = packet;
  run.last = packet;
  run.bytes += size;
  ++run.count;
  run.closed = size < run.segment_size;
}

void RunBuilder::Commit(RunCursor& cursor, const SocketAddress& destination, size_t size) {
  const uint32_t packet = AddPacket(size);
  if (cursor.batch == batch_) {
    TransmitRun& run = runs_[cursor.run];
    if (Takes(run, size) && run.destination == destination) return Link(run, packet);
  }
  const uint32_t previous = cursor.batch == batch_ ? cursor.run : kNoRun;
  cursor = {batch_, static_cast<uint32_t>(runs_.size())};
  OpenRun(destination, packet, false, previous);
}

void RunBuilder::CommitSingle(const SocketAddress& destination, size_t size) {
  OpenRun(destination, AddPacket(size), true);
}

bool RunBuilder::Append(RunCursor& cursor, const SocketAddress& destination, ByteView packet) {
  const MutableByteView out = Reserve(packet.size());
  if (out.size() < packet.size() || packet.empty()) return false;
  std::memcpy(out.data(), packet.data(), packet.size());
  Commit(cursor, destination, packet.size());
  return true;
}

bool RunBuilder::AppendSingle(const SocketAddress& destination, ByteView packet) {
  RunCursor none;
  if (!Append(none, destination, packet)) return false;
  runs_.back().closed = true;
  return true;
}

void RunBuilder::Arrange() {
  for (uint32_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i].previous != kNoRun) Arrange(i);
  }
}

// Joins this run with an earlier one: of the two, the one that is a single packet may move to the end of the
// other.
void RunBuilder::Arrange(uint32_t run) {
  TransmitRun& later = runs_[run];
  std::array<uint32_t, kMaxLookBack> between;
  size_t passed = 0;
  const auto passes = [&](uint32_t packet, const TransmitRun& end) {
    const uint32_t stream = StreamOf(packets_[packet]);
    const auto holds = [&](uint32_t other) { return Holds(runs_[other], stream); };
    return !Holds(end, stream) && std::none_of(between.begin(), between.begin() + passed, holds);
  };
  for (uint32_t at = later.previous; at != kNoRun && passed < kMaxLookBack; at = runs_[at].previous) {
    TransmitRun& earlier = runs_[at];
    if (earlier.destination != later.destination) return;  // the path has changed
    if (earlier.count == 0) continue;
    if (earlier.count == 1 && Takes(later, earlier.segment_size) && passes(earlier.first, later)) {
      Link(later, std::exchange(earlier.first, kNoPacket));
      earlier.count = 0;
      continue;
    }
    if (later.count == 1 && Takes(earlier, later.segment_size) && passes(later.first, earlier)) {
      Link(earlier, std::exchange(later.first, kNoPacket));
      later.count = 0;
      return;
    }
    between[passed++] = at;
  }
}

bool RunBuilder::Holds(const TransmitRun& run, uint32_t stream) const {
  for (uint32_t i = run.first; i != kNoPacket; i = packets_[i].next) {
    if (StreamOf(packets_[i]) == stream) return true;
  }
  return false;
}

void RunBuilder::Clear() {
  packets_.clear();
  runs_.clear();
  chunk_ = 0;
  chunk_used_ = 0;
  bytes_ = 0;
  ++batch_;
}

}  // namespace nexus
