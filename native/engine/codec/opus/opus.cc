#include "engine/codec/opus/opus.h"

namespace nexus {

std::optional<bool> OpusVoiceActivity(ByteView payload) {
  if (IsOpusDtx(payload)) return false;
  ByteReader reader(payload);
  // §3.1: | config (5) | s | c (2) |. Configs up to 15 have a SILK layer; §4.2.2: its frames have 20 ms.
  const uint8_t toc = reader.U8();
  const int config = toc >> 3;
  const bool stereo = (toc & 0x04) != 0;
  if (config >= 16) return std::nullopt;
  constexpr int kHybrid = 12;
  // SILK-only packets have 10, 20, 40 or 60 ms; hybrid ones 10 or 20.
  const int length = config >= kHybrid ? config & 1 : config & 3;
  const int silk_frames = length <= 1 ? 1 : length;
  switch (toc & 0x03) {
    case 0:  // one frame
    case 1:  // two frames of the same size
      break;
    case 2:  // §3.2.4: the size of the first frame in one or two bytes
      if (reader.U8() >= 252) reader.U8();
      break;
    default:  // §3.2.5: rarely used, and costly to parse
      return std::nullopt;
  }
  const uint8_t first = reader.U8();
  if (!reader.ok()) return std::nullopt;
  // §4.2.3: for each channel its VAD flags and one LBRR flag, all with probability one half, thus plain bits.
  const int flags = (1 << silk_frames) - 1;
  const int mid = first >> (8 - silk_frames) & flags;
  const int side = stereo ? first >> (8 - 2 * silk_frames - 1) & flags : 0;
  return mid != 0 || side != 0;
}

}  // namespace nexus
