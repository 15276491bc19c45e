// The classes of the events that `poll_events` returns.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/bindings.h"

namespace nexus::bindings {

void AddEvents(nb::module_& module) {
  nb::class_<TransportChanged>(module, "TransportChanged")
      .def_prop_ro("transport", [](const TransportChanged& e) { return e.transport.value; })
      .def_ro("state", &TransportChanged::state)
      .def_ro("reason", &TransportChanged::reason)
      .def_ro("srtp_profile", &TransportChanged::srtp_profile)
      .def_prop_ro("remote_address", [](const TransportChanged& e) {
        return e.remote_address ? e.remote_address->ToString() : std::string();
      });
  nb::class_<TrackStarted>(module, "TrackStarted")
      .def_prop_ro("track", [](const TrackStarted& e) { return e.track.value; })
      .def_prop_ro("codec", [](const TrackStarted& e) { return ToPython(e.codec); });
  nb::class_<SlotChanged>(module, "SlotChanged")
      .def_prop_ro("slot", [](const SlotChanged& e) { return e.slot.value; })
      .def_prop_ro("track", [](const SlotChanged& e) -> std::optional<uint32_t> {
        if (!e.track) return std::nullopt;
        return e.track->value;
      });
  nb::class_<SlotPaused>(module, "SlotPaused")
      .def_prop_ro("slot", [](const SlotPaused& e) { return e.slot.value; })
      .def_ro("paused", &SlotPaused::paused);
  nb::class_<LayerDemandChanged>(module, "LayerDemandChanged")
      .def_prop_ro("track", [](const LayerDemandChanged& e) { return e.track.value; })
      .def_prop_ro("highest", [](const LayerDemandChanged& e) { return ToPython(e.highest); });
  nb::class_<SpeakersChanged>(module, "SpeakersChanged")
      .def_prop_ro("room", [](const SpeakersChanged& e) { return e.room.value; })
      .def_prop_ro("speakers", [](const SpeakersChanged& e) {
        std::vector<std::pair<uint32_t, double>> speakers;
        for (const auto& [track, level] : e.speakers) speakers.emplace_back(track.value, level);
        return speakers;
      });
  nb::class_<CommandRejected>(module, "CommandRejected")
      .def_ro("command", &CommandRejected::command)
      .def_ro("id", &CommandRejected::id)
      .def_ro("reason", &CommandRejected::reason);
  nb::class_<StatsReady>(module, "StatsReady")
      .def_ro("request", &StatsReady::request)
      .def_ro("engine", &StatsReady::engine)
      .def_ro("transports", &StatsReady::transports)
      .def_ro("tracks", &StatsReady::tracks)
      .def_ro("slots", &StatsReady::slots);
}

}  // namespace nexus::bindings
