// For tests only: plain packets, keys from a seed, and sealing into a vector.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "engine/srtp/srtp_sealer.h"

namespace nexus {

using Bytes = std::vector<uint8_t>;

inline SrtpKeyMaterial TestKeys(unsigned seed) {
  std::mt19937 random(seed);
  SrtpKeyMaterial material;
  for (uint8_t& byte : material.key) byte = static_cast<uint8_t>(random());
  for (uint8_t& byte : material.salt) byte = static_cast<uint8_t>(random());
  return material;
}

// A packet with fixed header and a payload that depends on all parameters.
inline Bytes RtpPacket(uint32_t ssrc, uint16_t sequence, size_t payload_size) {
  Bytes packet(12 + payload_size);
  ByteWriter writer(packet);
  writer.U8(0x80);
  writer.U8(96);
  writer.U16(sequence);
  writer.U32(sequence * 3000u);
  writer.U32(ssrc);
  for (size_t i = 0; i < payload_size; ++i) writer.U8(static_cast<uint8_t>(ssrc + sequence + i));
  return packet;
}

// A report of `words` 32-bit words after the sender's SSRC.
inline Bytes RtcpPacket(uint32_t ssrc, uint16_t words) {
  Bytes packet(8 + 4 * size_t{words});
  ByteWriter writer(packet);
  writer.U8(0x80);
  writer.U8(200);
  writer.U16(static_cast<uint16_t>(words + 1));
  writer.U32(ssrc);
  for (uint32_t i = 0; i < words; ++i) writer.U32(i * 0x01010101u);
  return packet;
}

inline Bytes SealedRtp(SrtpSealer& sealer, const Bytes& plain, uint64_t index) {
  Bytes out(plain.size() + kSrtpMaxRtpOverhead);
  out.resize(sealer.SealRtp(ByteView(plain).first(12), ByteView(plain).subspan(12), index, out));
  return out;
}

inline Bytes SealedRtcp(SrtpSealer& sealer, const Bytes& plain) {
  Bytes out(plain.size() + kSrtpMaxRtcpOverhead);
  out.resize(sealer.SealRtcp(plain, out));
  return out;
}

}  // namespace nexus
