// Checks the arguments of `EngineConfig` and converts them.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <limits>

#include "bindings/bindings.h"

namespace nexus::bindings {
namespace {

SocketAddress ParseAddress(const std::string& text) {
  const std::optional<SocketAddress> address = SocketAddress::Parse(text, 0);
  if (!address) throw nb::value_error(("not an IP address: " + text).c_str());
  return *address;
}

Duration Millis(int64_t value, const char* name) {
  if (value <= 0 || value > 86'400'000)
    throw nb::value_error((std::string(name) + " is out of range").c_str());
  return std::chrono::milliseconds(value);
}

void Bound(int64_t value, int64_t low, int64_t high, const char* name) {
  if (value < low || value > high) throw nb::value_error((std::string(name) + " is out of range").c_str());
}

SrtpProfile ParseProfile(const std::string& name) {
  for (const SrtpProfile profile : {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmHmacSha1_80}) {
    if (name == SrtpProfileName(profile)) return profile;
  }
  throw nb::value_error(("unknown SRTP profile: " + name).c_str());
}

// A library may be missing on this machine only, so it has its own error, which a caller can tell apart.
struct GcmLibraryUnavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

GcmLibrary ParseGcmLibrary(const std::string& name) {
  if (name == "auto") return FastestGcmLibrary();
  const std::optional<GcmLibrary> library = GcmLibraryFromName(name);
  if (!library) throw nb::value_error(("unknown GCM library: " + name).c_str());
  if (!IsAvailable(*library)) {
    throw GcmLibraryUnavailable(name +
                                " was not built in, or this processor lacks the instructions it needs");
  }
  return *library;
}

void Construct(EngineConfig* self, int64_t shards, const std::vector<std::string>& bind_addresses,
               int64_t port, const std::vector<std::string>& announced_addresses, int64_t audio_loudest,
               int64_t consent_timeout_ms, bool strict_consent, int64_t connect_timeout_ms,
               int64_t speaker_interval_ms, int64_t max_transports,
               const std::vector<std::string>& srtp_profiles, bool udp_gso, bool udp_gro, bool tcp,
               int64_t red_distance, int64_t start_bitrate_bps, int64_t min_bitrate_bps,
               int64_t max_bitrate_bps, int64_t room_share, const std::string& gcm_library,
               int64_t tap_memory_bytes) {
  Bound(shards, 1, 256, "shards");
  Bound(port, 0, 65'535, "port");
  if (port != 0) Bound(port + shards - 1, 1, 65'535, "port");
  Bound(audio_loudest, 0, 64, "audio_loudest");
  Bound(red_distance, 0, 2, "red_distance");
  Bound(min_bitrate_bps, 10'000, 1'000'000'000, "min_bitrate_bps");
  Bound(max_bitrate_bps, min_bitrate_bps, 10'000'000'000, "max_bitrate_bps");
  Bound(start_bitrate_bps, min_bitrate_bps, max_bitrate_bps, "start_bitrate_bps");
  Bound(room_share, 0, 1'000'000, "room_share");
  Bound(tap_memory_bytes, 1 << 20, int64_t{1} << 40, "tap_memory_bytes");
  Bound(max_transports, 1, 1'000'000, "max_transports");
  EngineConfig config;
  config.shards = static_cast<size_t>(shards);
  config.port = static_cast<uint16_t>(port);
  size_t v6 = 0;
  for (const std::string& text : bind_addresses) {
    config.bind_addresses.push_back(ParseAddress(text));
    v6 += config.bind_addresses.back().is_v6() ? 1 : 0;
  }
  if (bind_addresses.empty() || v6 > 1 || bind_addresses.size() - v6 > 1) {
    throw nb::value_error("bind_addresses: one IPv4 address, one IPv6 address, or one of each");
  }
  for (const std::string& text : announced_addresses)
    config.announced_addresses.push_back(ParseAddress(text));
  config.shard.srtp_profiles.clear();
  for (const std::string& name : srtp_profiles) config.shard.srtp_profiles.push_back(ParseProfile(name));
  if (config.shard.srtp_profiles.empty()) throw nb::value_error("srtp_profiles: at least one");
  config.shard.gcm = ParseGcmLibrary(gcm_library);
  config.shard.red_distance = static_cast<uint8_t>(red_distance);
  config.shard.bandwidth = {start_bitrate_bps, min_bitrate_bps, max_bitrate_bps};
  config.shard.audio_loudest = static_cast<size_t>(audio_loudest);
  config.shard.consent_timeout = Millis(consent_timeout_ms, "consent_timeout_ms");
  config.shard.strict_consent = strict_consent;
  config.shard.connect_timeout = Millis(connect_timeout_ms, "connect_timeout_ms");
  config.shard.speaker_interval = Millis(speaker_interval_ms, "speaker_interval_ms");
  config.max_transports = static_cast<size_t>(max_transports);
  config.socket.gso = udp_gso;
  config.socket.gro = udp_gro;
  config.tcp = tcp;
  config.room_share = static_cast<size_t>(room_share);
  config.tap_memory_bytes = static_cast<size_t>(tap_memory_bytes);
  new (self) EngineConfig(std::move(config));
}

}  // namespace

void AddConfig(nb::module_& module) {
  using Names = std::vector<std::string>;
  nb::exception<GcmLibraryUnavailable>(module, "GcmLibraryUnavailable", PyExc_ValueError);
  nb::class_<EngineConfig>(module, "EngineConfig")
      .def("__init__", &Construct, nb::kw_only(), nb::arg("shards") = 1,
           nb::arg("bind_addresses") = Names{"0.0.0.0", "::"}, nb::arg("port") = 0,
           nb::arg("announced_addresses") = Names{}, nb::arg("audio_loudest") = 6,
           nb::arg("consent_timeout_ms") = 30'000, nb::arg("strict_consent") = false,
           nb::arg("connect_timeout_ms") = 30'000, nb::arg("speaker_interval_ms") = 300,
           nb::arg("max_transports") = 20'000,
           nb::arg("srtp_profiles") = Names{"AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"},
           nb::arg("udp_gso") = true, nb::arg("udp_gro") = true, nb::arg("tcp") = true,
           nb::arg("red_distance") = 1, nb::arg("start_bitrate_bps") = BweConfig{}.start_bps,
           nb::arg("min_bitrate_bps") = BweConfig{}.min_bps, nb::arg("max_bitrate_bps") = BweConfig{}.max_bps,
           nb::arg("room_share") = 0, nb::arg("gcm_library") = "auto",
           nb::arg("tap_memory_bytes") = int64_t{512} << 20);
}

}  // namespace nexus::bindings
