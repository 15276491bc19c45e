// The cryptographic transform of one direction: the places of the bytes, tag and index in a packet, and the
// nonce. It has keyed contexts but no state of streams: the caller passes indices.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/srtp/gcm_library.h"
#include "engine/srtp/srtp_keys.h"
#include "engine/srtp/srtp_session_keys.h"

namespace nexus {

enum class SrtpDirection : uint8_t { kSeal, kOpen };

inline constexpr size_t kRtpFixedHeaderSize = 12;
inline constexpr size_t kRtcpFixedHeaderSize = 8;  // sent in clear; the sender's SSRC ends it
inline constexpr size_t kSrtcpIndexSize = 4;
inline constexpr uint32_t kSrtcpEncryptedBit = 0x80000000u;

class SrtpTransform {
 public:
  virtual ~SrtpTransform() = default;

  // The caller has checked the sizes: `out` holds header, prefix, payload and tag. Returns the size written,
  // or 0 if OpenSSL failed.
  virtual size_t SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index,
                         MutableByteView out) = 0;
  virtual size_t SealRtcp(ByteView packet, uint32_t index, MutableByteView out) = 0;
  // Opens in place; false if the tag is wrong. `index_word` is E bit and index as sent.
  virtual bool OpenRtp(MutableByteView packet, size_t header_size, uint64_t index) = 0;
  virtual bool OpenRtcp(MutableByteView packet, uint32_t index_word) = 0;
  // Offset of the four bytes with E bit and index in an SRTCP packet of this size.
  virtual size_t RtcpIndexOffset(size_t packet_size) const = 0;

  // Prefetches the memory that sealing the next RTP packet reads.
  virtual void Prefetch() const {}

  virtual SrtpProfile profile() const = 0;
};

// Null if the cipher library fails.
std::unique_ptr<SrtpTransform> MakeSrtpTransform(SrtpProfile profile, const SrtpKeyMaterial& material,
                                                 SrtpDirection direction,
                                                 GcmLibrary library = FastestGcmLibrary());
std::unique_ptr<SrtpTransform> MakeGcmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp,
                                                SrtpDirection direction, GcmLibrary library);
std::unique_ptr<SrtpTransform> MakeCmTransform(const SrtpSessionKeys& rtp, const SrtpSessionKeys& rtcp);

inline uint32_t ReadU32(ByteView bytes, size_t offset) {
  return uint32_t{bytes[offset]} << 24 | uint32_t{bytes[offset + 1]} << 16 |
         uint32_t{bytes[offset + 2]} << 8 | bytes[offset + 3];
}

}  // namespace nexus
