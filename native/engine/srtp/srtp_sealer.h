// The sending side of SRTP and SRTCP (RFC 3711, RFC 7714) for one peer, with cipher contexts that are keyed
// once. It writes to a different buffer: header and payload may be in the publisher's shared packet, so that
// encryption is the only copy. It has no state per SSRC: the caller owns the 64-bit sequence number, whose
// upper bits are the roll-over counter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/srtp/gcm_library.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

class SrtpTransform;

class SrtpSealer {
 public:
  SrtpSealer(SrtpProfile profile, const SrtpKeyMaterial& material, GcmLibrary library = FastestGcmLibrary());
  ~SrtpSealer();
  SrtpSealer(SrtpSealer&&) noexcept;
  SrtpSealer& operator=(SrtpSealer&&) noexcept;

  // `index` is ROC << 16 | SEQ; its low bits must be the header's sequence number. `header` is the whole RTP
  // header with CSRCs and extensions, sent in clear. `prefix` (a rewritten payload descriptor, an RTX OSN)
  // and `payload` are encrypted as one message. Neither may overlap `out`. Returns the size written, or 0 on
  // failure or if `out` is too small (header + prefix + payload + kSrtpMaxRtpOverhead is always enough).
  size_t SealRtp(ByteView header, ByteView payload, uint64_t index, MutableByteView out) {
    return SealRtp(header, {}, payload, index, out);
  }
  size_t SealRtp(ByteView header, ByteView prefix, ByteView payload, uint64_t index, MutableByteView out);

  // Seals a compound or reduced-size RTCP packet; `out` needs kSrtpMaxRtcpOverhead more bytes. The SRTCP
  // index counts over all SSRCs of this direction (RFC 3711 section 3.2.1 requires it to increase per SSRC,
  // which it does). Returns 0 on failure, or if the index is exhausted (2^31 packets: section 9.2).
  size_t SealRtcp(ByteView packet, MutableByteView out);

  void Prefetch() const;

  SrtpProfile profile() const { return profile_; }

 private:
  SrtpProfile profile_;
  std::unique_ptr<SrtpTransform> transform_;  // null if OpenSSL failed: then nothing is sealed
  uint32_t rtcp_index_ = 0;
};

}  // namespace nexus
