// Checks and converts the options of transports, tracks and codecs.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/bindings.h"
#include "bindings/extension_ids.h"
#include "bindings/picture_sizes.h"
#include "engine/control/command_check.h"

namespace nexus::bindings {
namespace {

PayloadType PayloadTypeFrom(int64_t value) {
  if (value < 0 || value > 127) throw nb::value_error("payload types must be 0 to 127");
  return PayloadType{static_cast<uint8_t>(value)};
}

std::vector<Ssrc> SsrcsFrom(const std::vector<int64_t>& values) {
  std::vector<Ssrc> ssrcs;
  for (const int64_t value : values) {
    if (value < 0 || value > UINT32_MAX) throw nb::value_error("SSRCs must have 32 bits");
    ssrcs.push_back(Ssrc{static_cast<uint32_t>(value)});
  }
  return ssrcs;
}

void ConstructCodec(CodecBinding* self, int64_t payload_type, PyCodec codec, int64_t clock_rate,
                    std::optional<int64_t> rtx_payload_type, std::optional<int64_t> h264_profile_level_id,
                    int h264_packetization_mode, int vp9_profile, std::optional<int64_t> red_payload_type) {
  CodecBinding binding;
  binding.payload_type = PayloadTypeFrom(payload_type);
  binding.codec = FromPython(codec);
  if (clock_rate <= 0 || clock_rate > 1'000'000) throw nb::value_error("clock_rate is out of range");
  binding.clock_rate = static_cast<uint32_t>(clock_rate);
  if (rtx_payload_type) binding.rtx_payload_type = PayloadTypeFrom(*rtx_payload_type);
  if (h264_profile_level_id) {
    if (*h264_profile_level_id < 0 || *h264_profile_level_id > 0xFFFFFF) {
      throw nb::value_error("h264_profile_level_id must have 24 bits");
    }
    binding.h264_profile_level_id = static_cast<uint32_t>(*h264_profile_level_id);
  }
  binding.h264_packetization_mode = h264_packetization_mode;
  binding.vp9_profile = vp9_profile;
  if (red_payload_type) binding.red_payload_type = PayloadTypeFrom(*red_payload_type);
  new (self) CodecBinding(binding);
}

void ConstructTransport(TransportSettings* self, std::string remote_ufrag, std::string remote_pwd,
                        const std::vector<std::pair<std::string, std::string>>& fingerprints,
                        std::vector<CodecBinding> codecs, const ExtensionIds& extensions,
                        bool forward_descriptors, bool reduced_size_rtcp, bool dtls_client) {
  TransportSettings settings;
  settings.remote = {std::move(remote_ufrag), std::move(remote_pwd)};
  for (const auto& [algorithm, value] : fingerprints) settings.fingerprints.push_back({algorithm, value});
  settings.codecs = std::move(codecs);
  settings.extensions = ToExtensionIds(extensions);
  settings.forward_descriptors = forward_descriptors;
  settings.reduced_size_rtcp = reduced_size_rtcp;
  settings.dtls_role = dtls_client ? DtlsRole::kClient : DtlsRole::kServer;
  Require(CheckIceCredentials(settings.remote));
  Require(CheckFingerprints(settings.fingerprints));
  Require(CheckCodecs(settings.codecs));
  new (self) TransportSettings(std::move(settings));
}

void ConstructTrack(TrackSettings* self, MediaKind kind, int64_t number, std::string mid,
                    const std::vector<int64_t>& ssrcs, const std::vector<int64_t>& rtx_ssrcs,
                    std::vector<std::string> rids, int64_t group, bool muted, const PySizes& sizes,
                    const std::vector<int64_t>& payload_types, std::string scalability_mode) {
  if (number < 0 || number > UINT32_MAX) throw nb::value_error("number must have 32 bits: it is a CSRC");
  if (group < 0 || group > 255) throw nb::value_error("group must be 0 to 255");
  TrackSettings settings;
  settings.kind = kind;
  settings.number = static_cast<uint32_t>(number);
  settings.mid = std::move(mid);
  settings.ssrcs = SsrcsFrom(ssrcs);
  settings.rtx_ssrcs = SsrcsFrom(rtx_ssrcs);
  settings.rids = std::move(rids);
  settings.group = static_cast<int>(group);
  settings.muted = muted;
  for (const int64_t type : payload_types) settings.payload_types.push_back(PayloadTypeFrom(type));
  settings.sizes = ToPictureSizes(sizes);
  settings.scalability_mode = std::move(scalability_mode);
  Require(CheckTrack(settings));
  new (self) TrackSettings(std::move(settings));
}

}  // namespace

void AddOptions(nb::module_& module) {
  nb::class_<CodecBinding>(module, "CodecBinding")
      .def("__init__", &ConstructCodec, nb::kw_only(), nb::arg("payload_type"), nb::arg("codec"),
           nb::arg("clock_rate"), nb::arg("rtx_payload_type") = nb::none(),
           nb::arg("h264_profile_level_id") = nb::none(), nb::arg("h264_packetization_mode") = 0,
           nb::arg("vp9_profile") = 0, nb::arg("red_payload_type") = nb::none());
  nb::class_<TransportSettings>(module, "TransportOptions")
      .def("__init__", &ConstructTransport, nb::kw_only(), nb::arg("remote_ufrag"), nb::arg("remote_pwd"),
           nb::arg("fingerprints"), nb::arg("codecs"), nb::arg("extensions"),
           nb::arg("forward_descriptors") = false, nb::arg("reduced_size_rtcp") = true,
           nb::arg("dtls_client") = false);
  nb::class_<TrackSettings>(module, "TrackOptions")
      .def("__init__", &ConstructTrack, nb::kw_only(), nb::arg("kind"), nb::arg("number"), nb::arg("mid"),
           nb::arg("ssrcs") = std::vector<int64_t>{}, nb::arg("rtx_ssrcs") = std::vector<int64_t>{},
           nb::arg("rids") = std::vector<std::string>{}, nb::arg("group") = 0, nb::arg("muted") = false,
           nb::arg("sizes") = PySizes{}, nb::arg("payload_types") = std::vector<int64_t>{},
           nb::arg("scalability_mode") = "");
}

}  // namespace nexus::bindings
