// The classes of stats: one field for each counter and measurement of the engine, transports, tracks and
// slots.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bindings/bindings.h"

namespace nexus::bindings {
namespace {

// Contains every reason, even with count zero, so that a metric exists before its first count.
std::map<std::string, uint64_t> Drops(const EngineStats& report) {
  std::map<std::string, uint64_t> drops;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    drops[std::string(DropReasonName(reason))] = report.drops[reason];
  }
  drops["send_backlog"] = report.send_backlog_drops;
  drops["send_error"] = report.send_errors;
  drops["receive_truncated"] = report.receive_truncated;
  return drops;
}

std::vector<std::vector<uint64_t>> LayerBitrates(const TrackStats& report) {
  std::vector<std::vector<uint64_t>> rates;
  for (const auto& spatial : report.layer_bitrates) rates.emplace_back(spatial.begin(), spatial.end());
  return rates;
}

// As in the messages of WatchStats.
std::string_view StateName(TransportState state) {
  switch (state) {
    case TransportState::kNew:
      return "new";
    case TransportState::kConnected:
      return "connected";
    case TransportState::kDisconnected:
      return "disconnected";
    case TransportState::kFailed:
      return "failed";
    case TransportState::kClosed:
      return "closed";
  }
  return "";
}

}  // namespace

// A counter here has a field of the same name in sfu.proto, into which the SFU service copies it.
void AddStats(nb::module_& module) {
  nb::class_<TransportStats>(module, "TransportStats")
      .def_prop_ro("transport", [](const TransportStats& r) { return r.transport.value; })
      .def_prop_ro("state", [](const TransportStats& r) { return StateName(r.state); })
      .def_ro("srtp_profile", &TransportStats::srtp_profile)
      .def_ro("packets_in", &TransportStats::packets_in)
      .def_ro("bytes_in", &TransportStats::bytes_in)
      .def_ro("packets_out", &TransportStats::packets_out)
      .def_ro("bytes_out", &TransportStats::bytes_out)
      .def_ro("rtt_ms", &TransportStats::rtt_ms)
      .def_ro("estimate_bps", &TransportStats::estimate_bps)
      .def_ro("target_bps", &TransportStats::target_bps)
      .def_ro("acknowledged_bps", &TransportStats::acknowledged_bps)
      .def_ro("loss", &TransportStats::loss)
      .def_ro("pacer_queue_packets", &TransportStats::pacer_queue_packets)
      .def_ro("pacer_queue_bytes", &TransportStats::pacer_queue_bytes)
      .def_ro("pacer_drops", &TransportStats::pacer_drops)
      .def_ro("probe_clusters", &TransportStats::probe_clusters)
      .def_ro("probe_packets", &TransportStats::probe_packets)
      .def_ro("slots_paused", &TransportStats::slots_paused)
      .def_ro("data_messages_in", &TransportStats::data_messages_in)
      .def_ro("data_bytes_in", &TransportStats::data_bytes_in)
      .def_ro("data_messages_out", &TransportStats::data_messages_out)
      .def_ro("data_bytes_out", &TransportStats::data_bytes_out)
      .def_ro("data_messages_dropped", &TransportStats::data_messages_dropped);
  nb::class_<TrackStats>(module, "TrackStats")
      .def_prop_ro("track", [](const TrackStats& r) { return r.track.value; })
      .def_ro("packets", &TrackStats::packets)
      .def_ro("bytes", &TrackStats::bytes)
      .def_ro("packets_lost", &TrackStats::packets_lost)
      .def_ro("red_recovered", &TrackStats::red_recovered)
      .def_ro("nacks_sent", &TrackStats::nacks_sent)
      .def_ro("plis_sent", &TrackStats::plis_sent)
      .def_ro("keyframes", &TrackStats::keyframes)
      .def_ro("keyframe_replays", &TrackStats::keyframe_replays)
      .def_ro("jitter_ms", &TrackStats::jitter_ms)
      .def_prop_ro("layer_bitrates", &LayerBitrates);
  nb::class_<SlotStats>(module, "SlotStats")
      .def_prop_ro("slot", [](const SlotStats& r) { return r.slot.value; })
      .def_prop_ro("track",
                   [](const SlotStats& r) -> std::optional<uint32_t> {
                     if (!r.track) return std::nullopt;
                     return r.track->value;
                   })
      .def_ro("packets", &SlotStats::packets)
      .def_ro("bytes", &SlotStats::bytes)
      .def_ro("nacks_received", &SlotStats::nacks_received)
      .def_ro("retransmissions", &SlotStats::retransmissions)
      .def_ro("plis_received", &SlotStats::plis_received)
      .def_ro("fraction_lost", &SlotStats::fraction_lost)
      .def_prop_ro("target", [](const SlotStats& r) { return ToPython(r.target); })
      .def_prop_ro("layer", [](const SlotStats& r) { return ToPython(r.layer); })
      .def_ro("layer_switches", &SlotStats::layer_switches)
      .def_ro("layer_packets_left_out", &SlotStats::layer_packets_left_out);
  nb::class_<EngineStats>(module, "EngineStats")
      .def_ro("datagrams_in", &EngineStats::datagrams_in)
      .def_ro("bytes_in", &EngineStats::bytes_in)
      .def_ro("datagrams_out", &EngineStats::datagrams_out)
      .def_ro("bytes_out", &EngineStats::bytes_out)
      .def_ro("gso_runs", &EngineStats::gso_runs)
      .def_ro("gso_segments", &EngineStats::gso_segments)
      .def_ro("gso_fallbacks", &EngineStats::gso_fallbacks)
      .def_ro("tcp_accepted", &EngineStats::tcp_accepted)
      .def_ro("tcp_refused", &EngineStats::tcp_refused)
      .def_ro("tcp_connections", &EngineStats::tcp_connections)
      .def_prop_ro("drops", &Drops)
      .def_ro("cpu_seconds", &EngineStats::cpu_seconds)
      .def_ro("transports", &EngineStats::transports)
      .def_ro("events_dropped", &EngineStats::events_dropped);
}

}  // namespace nexus::bindings
