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
std::map<std::string, uint64_t> Drops(const EngineReport& report) {
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

std::vector<std::vector<uint64_t>> LayerBitrates(const TrackReport& report) {
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
  nb::class_<TransportReport>(module, "TransportStats")
      .def_prop_ro("transport", [](const TransportReport& r) { return r.transport.value; })
      .def_prop_ro("state", [](const TransportReport& r) { return StateName(r.state); })
      .def_ro("srtp_profile", &TransportReport::srtp_profile)
      .def_ro("packets_in", &TransportReport::packets_in)
      .def_ro("bytes_in", &TransportReport::bytes_in)
      .def_ro("packets_out", &TransportReport::packets_out)
      .def_ro("bytes_out", &TransportReport::bytes_out)
      .def_ro("rtt_ms", &TransportReport::rtt_ms)
      .def_ro("estimate_bps", &TransportReport::estimate_bps)
      .def_ro("target_bps", &TransportReport::target_bps)
      .def_ro("acknowledged_bps", &TransportReport::acknowledged_bps)
      .def_ro("loss", &TransportReport::loss)
      .def_ro("pacer_queue_packets", &TransportReport::pacer_queue_packets)
      .def_ro("pacer_queue_bytes", &TransportReport::pacer_queue_bytes)
      .def_ro("pacer_drops", &TransportReport::pacer_drops)
      .def_ro("probe_clusters", &TransportReport::probe_clusters)
      .def_ro("probe_packets", &TransportReport::probe_packets)
      .def_ro("slots_paused", &TransportReport::slots_paused)
      .def_ro("data_messages_in", &TransportReport::data_messages_in)
      .def_ro("data_bytes_in", &TransportReport::data_bytes_in)
      .def_ro("data_messages_out", &TransportReport::data_messages_out)
      .def_ro("data_bytes_out", &TransportReport::data_bytes_out)
      .def_ro("data_messages_dropped", &TransportReport::data_messages_dropped);
  nb::class_<TrackReport>(module, "TrackStats")
      .def_prop_ro("track", [](const TrackReport& r) { return r.track.value; })
      .def_ro("packets", &TrackReport::packets)
      .def_ro("bytes", &TrackReport::bytes)
      .def_ro("packets_lost", &TrackReport::packets_lost)
      .def_ro("red_recovered", &TrackReport::red_recovered)
      .def_ro("nacks_sent", &TrackReport::nacks_sent)
      .def_ro("plis_sent", &TrackReport::plis_sent)
      .def_ro("keyframes", &TrackReport::keyframes)
      .def_ro("keyframe_replays", &TrackReport::keyframe_replays)
      .def_ro("jitter_ms", &TrackReport::jitter_ms)
      .def_prop_ro("layer_bitrates", &LayerBitrates);
  nb::class_<SlotReport>(module, "SlotStats")
      .def_prop_ro("slot", [](const SlotReport& r) { return r.slot.value; })
      .def_prop_ro("track",
                   [](const SlotReport& r) -> std::optional<uint32_t> {
                     if (!r.track) return std::nullopt;
                     return r.track->value;
                   })
      .def_ro("packets", &SlotReport::packets)
      .def_ro("bytes", &SlotReport::bytes)
      .def_ro("nacks_received", &SlotReport::nacks_received)
      .def_ro("retransmissions", &SlotReport::retransmissions)
      .def_ro("plis_received", &SlotReport::plis_received)
      .def_ro("fraction_lost", &SlotReport::fraction_lost)
      .def_prop_ro("target", [](const SlotReport& r) { return ToPython(r.target); })
      .def_prop_ro("layer", [](const SlotReport& r) { return ToPython(r.layer); })
      .def_ro("layer_switches", &SlotReport::layer_switches)
      .def_ro("layer_packets_left_out", &SlotReport::layer_packets_left_out);
  nb::class_<EngineReport>(module, "EngineStats")
      .def_ro("datagrams_in", &EngineReport::datagrams_in)
      .def_ro("bytes_in", &EngineReport::bytes_in)
      .def_ro("datagrams_out", &EngineReport::datagrams_out)
      .def_ro("bytes_out", &EngineReport::bytes_out)
      .def_ro("gso_runs", &EngineReport::gso_runs)
      .def_ro("gso_segments", &EngineReport::gso_segments)
      .def_ro("gso_fallbacks", &EngineReport::gso_fallbacks)
      .def_ro("tcp_accepted", &EngineReport::tcp_accepted)
      .def_ro("tcp_refused", &EngineReport::tcp_refused)
      .def_ro("tcp_connections", &EngineReport::tcp_connections)
      .def_prop_ro("drops", &Drops)
      .def_ro("cpu_seconds", &EngineReport::cpu_seconds)
      .def_ro("transports", &EngineReport::transports)
      .def_ro("events_dropped", &EngineReport::events_dropped);
}

}  // namespace nexus::bindings
