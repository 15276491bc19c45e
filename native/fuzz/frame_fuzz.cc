// The client's assembly of frames from packets, for every codec. The first byte chooses the codec; each
// packet is a step of its sequence number, a time, and a length with its payload. Buffered data stays
// bounded.
#include <cstdlib>

#include "engine/client/jitter_buffer/frame_assembler.h"

using namespace nexus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteReader reader(ByteView(data, size));
  const auto codec = static_cast<Codec>(reader.U8() % 5);
  FrameAssemblerConfig config;
  config.packets = 64;
  config.max_frame_bytes = 4'096;
  config.max_waiting_frames = 8;
  FrameAssembler assembler(codec, config);
  int64_t number = 70'000;
  while (reader.ok() && reader.remaining() > 3) {
    const uint8_t head = reader.U8();
    number += (head & 0x0F) - 3;
    AssemblerPacket packet;
    packet.sequence_number = number;
    packet.timestamp = reader.U8() * 3'000;
    packet.marker = (head & 0x80) != 0;
    packet.payload = reader.Bytes(std::min<size_t>(reader.U8(), reader.remaining()));
    assembler.Insert(packet);
    if (assembler.held() > config.packets) std::abort();
    if ((head & 0x40) == 0) continue;
    while (auto frame = assembler.Poll()) {
      if (frame->last_sequence < frame->first_sequence) std::abort();
      if (frame->last_sequence - frame->first_sequence >= static_cast<int64_t>(config.packets)) std::abort();
    }
    if ((head & 0x20) != 0) assembler.DropBefore(number - 10);
  }
  return 0;
}
