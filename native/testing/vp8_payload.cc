#include "testing/vp8_payload.h"

namespace nexus::testing {

std::vector<uint8_t> MakeVp8Descriptor(const Vp8PacketFields& packet) {
  constexpr uint8_t kExtended = 0x80, kStart = 0x10;                     // X, S
  constexpr uint8_t kPictureId = 0x80, kTl0Index = 0x40, kLayer = 0x20;  // I, L, T
  constexpr uint8_t kFifteenBits = 0x80, kLayerSync = 0x20;              // M, Y
  std::vector<uint8_t> bytes;
  bytes.push_back(packet.first_of_frame ? kExtended | kStart : kExtended);
  bytes.push_back(packet.layer ? kPictureId | kTl0Index | kLayer : kPictureId);
  bytes.push_back(static_cast<uint8_t>(kFifteenBits | (packet.picture_id >> 8 & 0x7F)));
  bytes.push_back(static_cast<uint8_t>(packet.picture_id));
  if (packet.layer) {
    bytes.push_back(packet.layer->tl0_picture_index);
    bytes.push_back(static_cast<uint8_t>(packet.layer->id << 6 | (packet.layer->sync ? kLayerSync : 0)));
  }
  return bytes;
}

void AppendVp8FrameStart(std::vector<uint8_t>& payload, bool key, PictureSize size) {
  payload.push_back(key ? 0x10 : 0x11);  // shown; the P bit is clear in a keyframe
  // One byte at a time: GCC 12 warns of an insertion of several (array-bounds), wrongly.
  for (const uint8_t byte : {0x00, 0x00, 0x9D, 0x01, 0x2A}) payload.push_back(byte);
  for (const uint16_t side : {size.width, size.height}) {
    payload.push_back(static_cast<uint8_t>(side));
    payload.push_back(static_cast<uint8_t>(side >> 8));
  }
}

}  // namespace nexus::testing
