// Taps: the only place where media crosses into Python, in batches of opaque bytes.
#include <nanobind/stl/vector.h>

#include "bindings/calls.h"

namespace nexus::bindings {
namespace {

Duration Milliseconds(int64_t value, Duration most, const char* wrong) {
  if (value < 0 || std::chrono::milliseconds(value) > most) throw nb::value_error(wrong);
  return std::chrono::milliseconds(value);
}

void ConstructTap(TapSettings* self, int64_t patience_ms, int64_t batch_ms, int64_t backlog_bytes) {
  TapSettings settings;
  settings.patience = Milliseconds(patience_ms, kMaxTapPatience, "patience_ms must be 0 to 10000");
  settings.batch_interval = Milliseconds(batch_ms, kMaxTapBatchInterval, "batch_ms must be 0 to 1000");
  if (backlog_bytes < static_cast<int64_t>(kMinTapBacklog) ||
      backlog_bytes > static_cast<int64_t>(kMaxTapBacklog)) {
    throw nb::value_error("backlog_bytes must be 64 KiB to 64 MiB");
  }
  settings.backlog_bytes = static_cast<size_t>(backlog_bytes);
  new (self) TapSettings(settings);
}

}  // namespace

void AddTaps(nb::module_& module) {
  nb::class_<TapSettings>(module, "TapOptions")
      .def("__init__", &ConstructTap, nb::kw_only(), nb::arg("patience_ms") = 1'500, nb::arg("batch_ms") = 50,
           nb::arg("backlog_bytes") = 4 << 20);
  nb::class_<TapBatch>(module, "TapBatch")
      .def_prop_ro("records",
                   [](const TapBatch& b) {
                     return nb::bytes(reinterpret_cast<const char*>(b.records.data()), b.records.size());
                   })
      .def_ro("packets", &TapBatch::packets)
      .def_ro("packets_dropped", &TapBatch::packets_dropped)
      .def_ro("ended", &TapBatch::ended);
}

void AddTapCalls(nb::class_<Engine>& engine) {
  engine.def_prop_ro("tap_fd", &Engine::tap_fd)
      .def(
          "add_tap",
          [](Engine& e, int64_t track, const TapSettings& options) {
            TapId tap;
            Do([&, id = As<TrackId>(track)] { return e.AddTap(id, options, tap); });
            return tap.value;
          },
          nb::arg("track"), nb::arg("options"))
      .def(
          "remove_tap",
          [](Engine& e, int64_t tap) { Do([&, id = As<TapId>(tap)] { return e.RemoveTap(id); }); },
          nb::arg("tap"))
      .def("ready_taps",
           [](Engine& e) {
             std::vector<uint32_t> taps;
             for (const TapId tap : WithoutGil([&] { return e.ReadyTaps(); })) taps.push_back(tap.value);
             return taps;
           })
      .def(
          "read_tap",
          [](Engine& e, int64_t tap, int64_t limit) {
            const size_t most = limit < 0 ? 0 : static_cast<size_t>(limit);
            return WithoutGil([&, id = As<TapId>(tap)] { return e.ReadTap(id, most); });
          },
          nb::arg("tap"), nb::arg("limit") = 1 << 20);
}

}  // namespace nexus::bindings
