// Redundant audio from a peer: parses it, recovers packets into a ring, and writes it again.
#include <array>
#include <cstdlib>

#include "engine/forward/red_recovery.h"
#include "engine/rtp/red.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nexus;
  const ByteView payload(data, size);
  const auto red = ParseRed(payload);
  if (!red) return 0;
  size_t bytes = red->primary.size();
  for (const RedBlock& block : red->redundant()) bytes += block.payload.size();
  if (bytes > size) std::abort();

  std::array<uint8_t, kKeptRedBlocks*(kRedBlockHeaderSize + kMaxRedBlockSize) + kRedPrimaryHeaderSize> out;
  const size_t written = WriteRedPrefix(out, red->primary_type, red->redundant());
  const auto again = ParseRed(ByteView(out).first(written));
  if (!again || again->block_count != red->block_count) std::abort();

  PacketRing ring({16, Duration(2'000'000)});
  SourcePacket packet;
  packet.sequence_number = 70'000;
  packet.timestamp = 1'000'000;
  packet.payload = payload.first(std::min<size_t>(size, 8));
  const SourcePacket* stored = nullptr;
  (void)ring.Insert(packet, stored);
  packet.sequence_number += 5;
  packet.timestamp += 5 * 960;
  packet.payload = red->primary;
  if (ring.Insert(packet, stored) != InsertOutcome::kStored) return 0;
  std::array<LostAudio, kKeptRedBlocks> lost;
  const size_t found = FindLostAudio(ring, *red, *stored, lost);
  int64_t before = 1'000'000;
  for (size_t i = 0; i < found; ++i) {
    if (lost[i].timestamp <= before || lost[i].timestamp >= stored->timestamp) std::abort();
    before = lost[i].timestamp;
  }
  return 0;
}
