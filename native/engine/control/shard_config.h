// What a shard is told once, at its birth.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/time.h"
#include "engine/bwe/send_side_estimator.h"
#include "engine/dtls/dtls_certificate.h"
#include "engine/sctp/data_channels.h"
#include "engine/srtp/gcm_library.h"
#include "engine/srtp/srtp_keys.h"

namespace nexus {

struct ShardConfig {
  std::shared_ptr<const DtlsCertificate> certificate;
  std::vector<SrtpProfile> srtp_profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80};
  GcmLibrary gcm = FastestGcmLibrary();                 // OpenSSL can always be asked for
  Duration consent_timeout = std::chrono::seconds(30);  // RFC 7675 section 5.1
  bool strict_consent = false;  // only checks are consent to send, authenticated packets are not
  Duration connect_timeout = std::chrono::seconds(30);  // creation to ICE and DTLS both up
  Duration speaker_interval = std::chrono::milliseconds(300);
  Duration rtcp_interval = std::chrono::seconds(1);
  Duration keyframe_interval = std::chrono::milliseconds(300);  // between two PLIs to one layer
  Duration layers_hold = std::chrono::seconds(4);  // a publisher goes on with layers nobody wants any more
  size_t audio_loudest = 6;                        // audio sources of a room that are forwarded

  // Packets of a picture that are a few bytes shorter than the others are padded to one length: see FanOut.
  bool pad_runs = true;
  // Earlier packets that ride along to a subscriber with redundant audio (RFC 2198): 0, 1 or 2.
  uint8_t red_distance = 1;
  // Of each subscriber's path: where the estimate begins, and between what it stays.
  BweConfig bandwidth;
  uint16_t first_transport_sequence = 1;

  // Bounds: beyond them commands are rejected and packets dropped, both counted.
  size_t max_transports = 20'000;
  size_t max_tracks_per_transport = 64;
  size_t max_layers_per_track = 4;
  size_t max_slots_per_transport = 256;
  size_t max_events = 65'536;
  // Which of how many shards this is: an id belongs to shard (id - 1) mod `shards`.
  uint16_t index = 0;
  uint16_t shards = 1;
  size_t max_relayed_tracks = 65'536;
  size_t max_taps = 4'096;
  // What one peer may send on its data channels; beyond, its window closes and nothing is lost.
  double data_messages_per_second = 1'000;
  double data_bytes_per_second = 4u << 20;
  DataChannelLimits data_limits;

  // First numbers of streams and RTCP phases; nothing secret comes of it.
  uint64_t seed = 1;
};

}  // namespace nexus
