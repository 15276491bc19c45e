// The class `Engine`: each call checks its arguments and becomes one call or command of the engine.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <cstring>

#include "bindings/calls.h"
#include "bindings/extension_ids.h"
#include "bindings/picture_sizes.h"
#include "bindings/slot_view.h"
#include "engine/control/command_check.h"

namespace nexus::bindings {
namespace {

std::unique_ptr<Engine> Open(const EngineConfig& config) {
  int error = 0;
  std::unique_ptr<Engine> engine = WithoutGil([&] { return Engine::Open(config, error); });
  if (engine == nullptr) {
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    throw nb::python_error();
  }
  return engine;
}

TransportId Transport(int64_t id) { return As<TransportId>(id); }

}  // namespace

void AddDescriptions(nb::module_& module) {
  nb::class_<IceCandidate>(module, "Candidate")
      .def_prop_ro("ip", [](const IceCandidate& c) { return c.address.IpString(); })
      .def_prop_ro("port", [](const IceCandidate& c) { return c.address.port(); })
      .def_prop_ro("tcp", [](const IceCandidate& c) { return c.address.is_tcp(); })
      .def_ro("priority", &IceCandidate::priority)
      .def_ro("foundation", &IceCandidate::foundation);
  nb::class_<TransportDescription>(module, "TransportDescription")
      .def_prop_ro("transport", [](const TransportDescription& d) { return d.transport.value; })
      .def_prop_ro("ufrag", [](const TransportDescription& d) { return d.local.ufrag; })
      .def_prop_ro("pwd", [](const TransportDescription& d) { return d.local.pwd; })
      .def_ro("candidates", &TransportDescription::candidates);
  nb::class_<SlotDescription>(module, "SlotDescription")
      .def_prop_ro("slot", [](const SlotDescription& d) { return d.slot.value; })
      .def_prop_ro("ssrc", [](const SlotDescription& d) { return d.ssrc.value; })
      .def_prop_ro("rtx_ssrc", [](const SlotDescription& d) -> std::optional<uint32_t> {
        if (!d.rtx_ssrc) return std::nullopt;
        return d.rtx_ssrc->value;
      });
}

void AddEngine(nb::module_& module) {
  AddDescriptions(module);
  nb::class_<Engine> engine(module, "Engine");
  AddDataCalls(engine);
  engine.def(nb::new_(&Open), nb::arg("config"))
      .def_prop_ro("event_fd", &Engine::event_fd)
      .def_prop_ro("fingerprint", [](const Engine& e) { return e.fingerprint(); })
      .def_prop_ro("gcm_library",
                   [](const Engine& e) { return std::string(GcmLibraryName(e.gcm_library())); })
      .def_prop_ro("ports", &Engine::ports)
      .def(
          "poll_events",
          [](Engine& e, int64_t limit) {
            const size_t most = limit < 0 ? 0 : static_cast<size_t>(limit);
            return WithoutGil([&] { return e.PollEvents(most); });
          },
          nb::arg("limit") = 1024)
      .def("close", &Engine::Close, nb::call_guard<nb::gil_scoped_release>())
      .def("create_room",
           [](Engine& e) {
             RoomId room;
             Do([&] { return e.CreateRoom(room); });
             return room.value;
           })
      .def(
          "close_room",
          [](Engine& e, int64_t room) { Do([&, id = As<RoomId>(room)] { return e.CloseRoom(id); }); },
          nb::arg("room"))
      .def(
          "create_transport",
          [](Engine& e, int64_t room, const TransportSettings& options) {
            TransportDescription description;
            Do([&, id = As<RoomId>(room)] { return e.CreateTransport(id, options, description); });
            return description;
          },
          nb::arg("room"), nb::arg("options"))
      .def(
          "update_transport",
          [](Engine& e, int64_t transport, std::vector<CodecBinding> codecs, const ExtensionIds& extensions,
             bool forward_descriptors) {
            Require(CheckCodecs(codecs));
            nexus::UpdateTransport command{Transport(transport), std::move(codecs),
                                           ToExtensionIds(extensions), forward_descriptors};
            Do([&] { return e.Update(std::move(command)); });
          },
          nb::arg("transport"), nb::arg("codecs"), nb::arg("extensions"),
          nb::arg("forward_descriptors") = false)
      .def(
          "restart_ice",
          [](Engine& e, int64_t transport, std::string remote_ufrag, std::string remote_pwd) {
            const IceCredentials remote{std::move(remote_ufrag), std::move(remote_pwd)};
            Require(CheckIceCredentials(remote));
            TransportDescription description;
            Do([&, id = Transport(transport)] { return e.RestartIce(id, remote, description); });
            return description;
          },
          nb::arg("transport"), nb::arg("remote_ufrag"), nb::arg("remote_pwd"))
      .def(
          "close_transport",
          [](Engine& e, int64_t transport) {
            Do([&, id = Transport(transport)] { return e.CloseTransport(id); });
          },
          nb::arg("transport"))
      .def(
          "add_track",
          [](Engine& e, int64_t transport, const TrackSettings& options) {
            TrackId track;
            Do([&, id = Transport(transport)] { return e.AddTrack(id, options, track); });
            return track.value;
          },
          nb::arg("transport"), nb::arg("options"))
      .def(
          "remove_track",
          [](Engine& e, int64_t track) {
            Do([&, id = As<TrackId>(track)] { return e.Send(nexus::RemoveTrack{id}); });
          },
          nb::arg("track"))
      .def(
          "set_track_muted",
          [](Engine& e, int64_t track, bool muted) {
            Do([&, id = As<TrackId>(track)] { return e.Send(nexus::MuteTrack{id, muted}); });
          },
          nb::arg("track"), nb::arg("muted"))
      .def(
          "set_track_sizes",
          [](Engine& e, int64_t track, const PySizes& sizes) {
            const auto id = As<TrackId>(track);
            Do([&, told = ToPictureSizes(sizes)] { return e.Send(nexus::ResizeTrack{id, told}); });
          },
          nb::arg("track"), nb::arg("sizes"))
      .def(
          "request_keyframe",
          [](Engine& e, int64_t track) {
            Do([&, id = As<TrackId>(track)] { return e.Send(nexus::RequestKeyframe{id}); });
          },
          nb::arg("track"))
      .def(
          "add_slot",
          [](Engine& e, int64_t transport, MediaKind kind, int pair, const std::string& msid, bool rtx) {
            (void)msid;  // used in SDP only; RTP does not carry it
            SlotDescription description;
            Do([&, id = Transport(transport)] { return e.AddSlot(id, kind, pair, description, rtx); });
            return description;
          },
          nb::arg("transport"), nb::arg("kind"), nb::arg("pair") = -1, nb::arg("msid") = "",
          nb::arg("rtx") = true)
      .def(
          "remove_slot",
          [](Engine& e, int64_t slot) {
            Do([&, id = As<SlotId>(slot)] { return e.Send(nexus::RemoveSlot{id}); });
          },
          nb::arg("slot"))
      .def(
          "bind_slot",
          [](Engine& e, int64_t slot, int64_t track) {
            Do([&, id = As<SlotId>(slot), source = As<TrackId>(track)] {
              return e.Send(nexus::BindSlot{id, source});
            });
          },
          nb::arg("slot"), nb::arg("track"))
      .def(
          "unbind_slot",
          [](Engine& e, int64_t slot) {
            Do([&, id = As<SlotId>(slot)] { return e.Send(nexus::UnbindSlot{id}); });
          },
          nb::arg("slot"))
      .def(
          "set_subscribed",
          [](Engine& e, int64_t transport, int64_t track, bool subscribed) {
            Do([&, id = Transport(transport), source = As<TrackId>(track)] {
              return e.Send(nexus::SetSubscribed{id, source, subscribed});
            });
          },
          nb::arg("transport"), nb::arg("track"), nb::arg("subscribed"))
      .def(
          "set_slot_view",
          [](Engine& e, int64_t slot, int64_t width, int64_t height, int64_t priority, bool pinned,
             bool visible, std::optional<int64_t> max_spatial, std::optional<int64_t> max_temporal) {
            const nexus::SetSlotView command{
                As<SlotId>(slot),
                ToSlotView(width, height, priority, pinned, visible, max_spatial, max_temporal)};
            Do([&] { return e.Send(command); });
          },
          nb::arg("slot"), nb::kw_only(), nb::arg("width") = 0, nb::arg("height") = 0,
          nb::arg("priority") = 0, nb::arg("pinned") = false, nb::arg("visible") = true,
          nb::arg("max_spatial") = nb::none(), nb::arg("max_temporal") = nb::none())
      .def(
          "request_stats",
          [](Engine& e, std::optional<int64_t> room, bool details) {
            std::optional<RoomId> id;
            if (room) id = As<RoomId>(*room);
            uint32_t request = 0;
            Do([&] { return e.RequestStats(id, request, details); });
            return request;
          },
          nb::arg("room") = nb::none(), nb::arg("details") = true);
  AddTapCalls(engine);
}

}  // namespace nexus::bindings
