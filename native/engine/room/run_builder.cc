#include "engine/room/run_builder.h"

#include <cstring>

namespace nexus {

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

void RunBuilder::OpenRun(const SocketAddress& destination, uint32_t packet, bool closed) {
  const uint16_t size = packets_[packet].size;
  runs_.push_back({destination, packet, packet, size, size, 1, closed});
}

void RunBuilder::Commit(RunCursor& cursor, const SocketAddress& destination, size_t size) {
  const uint32_t packet = AddPacket(size);
  if (cursor.batch == batch_) {
    TransmitRun& run = runs_[cursor.run];
    // A longer segment inside a run would be cut wrongly by the kernel; the first shorter one ends it.
    if (!run.closed && size <= run.segment_size && run.count < kMaxRunSegments &&
        run.bytes + size <= kMaxRunBytes && run.destination == destination) {
      packets_[run.last].next = packet;
      run.last = packet;
      run.bytes += static_cast<uint32_t>(size);
      ++run.count;
      run.closed = size < run.segment_size;
      return;
    }
  }
  cursor = {batch_, static_cast<uint32_t>(runs_.size())};
  OpenRun(destination, packet, false);
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

void RunBuilder::Clear() {
  packets_.clear();
  runs_.clear();
  chunk_ = 0;
  chunk_used_ = 0;
  bytes_ = 0;
  ++batch_;
}

}  // namespace nexus
