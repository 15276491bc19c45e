// The receiving side of SRTP and SRTCP (RFC 3711 section 3.3, RFC 7714) for one peer: authenticates, decrypts
// in place, estimates the roll-over counter and rejects replays per SSRC. The table of SSRCs is bounded: if
// an authenticated peer invents SSRCs, the least recently used one is evicted (hard problem 9). State is
// created only after authentication.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/srtp/gcm_library.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

class SrtpTransform;
class ReplayWindow;
class SsrcTable;

struct SrtpOpenerConfig {
  size_t max_ssrcs = 256;  // each for RTP and for RTCP
  GcmLibrary library = FastestGcmLibrary();
};

struct SrtpCounters {
  uint64_t rtp_opened = 0;
  uint64_t rtcp_opened = 0;
  uint64_t malformed = 0;        // wrong length, version or header size
  uint64_t unauthenticated = 0;  // wrong tag
  uint64_t replayed = 0;         // received before
  uint64_t too_old = 0;          // before the replay window: unknown
  uint64_t unencrypted = 0;      // SRTCP without the E bit: both profiles encrypt (RFC 5764 section 4.1.2)
  uint64_t ssrcs_evicted = 0;
};

class SrtpOpener {
 public:
  SrtpOpener(SrtpProfile profile, const SrtpKeyMaterial& material, SrtpOpenerConfig config = {});
  ~SrtpOpener();
  SrtpOpener(SrtpOpener&&) noexcept;
  SrtpOpener& operator=(SrtpOpener&&) noexcept;

  // Both open in place and return the size of the plain packet with header but without tag. `header_size` is
  // the size of the whole RTP header: fixed part, CSRCs and extension. On failure the bytes are undefined.
  std::optional<size_t> OpenRtp(MutableByteView packet, size_t header_size);
  std::optional<size_t> OpenRtcp(MutableByteView packet);

  const SrtpCounters& counters() const { return counters_; }
  size_t ssrc_count() const;

 private:
  bool IsFresh(const ReplayWindow* window, uint64_t index);

  SrtpProfile profile_;
  std::unique_ptr<SrtpTransform> transform_;  // null if OpenSSL failed: then nothing is opened
  std::unique_ptr<SsrcTable> rtp_;
  std::unique_ptr<SsrcTable> rtcp_;
  SrtpCounters counters_;
};

}  // namespace nexus
