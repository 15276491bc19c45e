// Configuration of a shard, fixed for its life.
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
  GcmLibrary gcm = FastestGcmLibrary();                 // OpenSSL is always available
  Duration consent_timeout = std::chrono::seconds(30);  // RFC 7675 section 5.1
  bool strict_consent = false;  // authenticated packets do not count as consent, only checks do
  Duration connect_timeout = std::chrono::seconds(30);  // creation to ICE and DTLS both up
  Duration speaker_interval = std::chrono::milliseconds(300);
  Duration rtcp_interval = std::chrono::seconds(1);
  Duration keyframe_interval = std::chrono::milliseconds(300);  // between two PLIs to one layer
  Duration layers_hold = std::chrono::seconds(
      4);                    // how long a layer demand must be lower before it is reported to the publisher
  size_t audio_loudest = 6;  // audio sources of a room that are forwarded

  // Whether packets of a picture that are a few bytes shorter than others are padded to one length (FanOut).
  bool pad_runs = true;
  // Number of earlier packets in a packet of redundant audio (RFC 2198): 0, 1 or 2.
  uint8_t red_distance = 1;
  // Initial value and bounds of the bandwidth estimate of each subscriber's path.
  BweConfig bandwidth;
  uint16_t first_transport_sequence = 1;

  // Bounds. Beyond them commands are rejected and packets dropped and counted.
  size_t max_transports = 20'000;
  size_t max_tracks_per_transport = 64;
  size_t max_layers_per_track = 4;
  size_t max_slots_per_transport = 256;
  size_t max_events = 65'536;
  // Index and number of the shards: an id belongs to shard (id - 1) mod `shards`.
  uint16_t index = 0;
  uint16_t shards = 1;
  size_t max_relayed_tracks = 65'536;
  size_t max_taps = 4'096;
  // Rates that one peer may send on its data channels. Beyond them its window closes and nothing is lost.
  double data_messages_per_second = 1'000;
  double data_bytes_per_second = 4u << 20;
  DataChannelLimits data_limits;

  // Seed of initial sequence numbers and RTCP phases; nothing secret depends on it.
  uint64_t seed = 1;
};

}  // namespace nexus
