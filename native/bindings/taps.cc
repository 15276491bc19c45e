// Taps: the only place where media crosses into Python, in batches of opaque bytes.
#include <nanobind/stl/vector.h>

#include "bindings/calls.h"

namespace nexus::bindings {
namespace {

Duration Milliseconds(int64_t value, Duration most, const char* wrong) {
  if (value < 0 || std::chrono::milliseconds(value) > most) throw nb::value_error(wrong);
  return std::chrono::milliseconds(value);
}

uint32_t Pixels(int64_t value, const char* wrong) {
  if (value < 0 || value > 65'535) throw nb::value_error(wrong);
  return static_cast<uint32_t>(value);
}

TapDemand ToDemand(int64_t keyframe_interval_ms, int64_t max_width, int64_t max_height) {
  TapDemand demand;
  demand.keyframe_interval =
      Milliseconds(keyframe_interval_ms, kMaxTapKeyframeInterval, "keyframe_interval_ms must be 0 to 60000");
  demand.max_width = Pixels(max_width, "max_width must be 0 to 65535");
  demand.max_height = Pixels(max_height, "max_height must be 0 to 65535");
  return demand;
}

void ConstructTap(TapSettings* self, int64_t patience_ms, int64_t batch_ms, int64_t backlog_bytes,
                  int64_t retain_ms, int64_t first_position, int64_t keyframe_interval_ms, int64_t max_width,
                  int64_t max_height) {
  TapSettings settings;
  settings.patience = Milliseconds(patience_ms, kMaxTapPatience, "patience_ms must be 0 to 10000");
  settings.batch_interval = Milliseconds(batch_ms, kMaxTapBatchInterval, "batch_ms must be 0 to 1000");
  if (backlog_bytes < static_cast<int64_t>(kMinTapBacklog) ||
      backlog_bytes > static_cast<int64_t>(kMaxTapBacklog)) {
    throw nb::value_error("backlog_bytes must be 64 KiB to 64 MiB");
  }
  settings.backlog_bytes = static_cast<size_t>(backlog_bytes);
  settings.retention = Milliseconds(retain_ms, kMaxTapRetention, "retain_ms must be 0 to 60000");
  if (first_position < 0) throw nb::value_error("first_position must not be negative");
  settings.first_position = static_cast<uint64_t>(first_position);
  settings.demand = ToDemand(keyframe_interval_ms, max_width, max_height);
  new (self) TapSettings(settings);
}

}  // namespace

void AddTaps(nb::module_& module) {
  nb::class_<TapSettings>(module, "TapOptions")
      .def("__init__", &ConstructTap, nb::kw_only(), nb::arg("patience_ms") = 1'500, nb::arg("batch_ms") = 50,
           nb::arg("backlog_bytes") = 4 << 20, nb::arg("retain_ms") = 0, nb::arg("first_position") = 0,
           nb::arg("keyframe_interval_ms") = 0, nb::arg("max_width") = 0, nb::arg("max_height") = 0);
  nb::class_<RetainedTapState>(module, "TapState")
      .def_ro("bytes", &RetainedTapState::bytes)
      .def_ro("records", &RetainedTapState::records)
      .def_ro("position", &RetainedTapState::position)
      .def_ro("ended", &RetainedTapState::ended);
  nb::class_<RetainedTotals>(module, "RetainedTotals")
      .def_ro("bytes", &RetainedTotals::bytes)
      .def_ro("packets_dropped", &RetainedTotals::packets_dropped);
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
          "continue_tap",
          [](Engine& e, int64_t tap, int64_t track, const TapSettings& options) {
            Do([&, id = As<TapId>(tap), source = As<TrackId>(track)] {
              return e.ContinueTap(id, source, options);
            });
          },
          nb::arg("tap"), nb::arg("track"), nb::arg("options"))
      .def(
          "finish_tap",
          [](Engine& e, int64_t tap, const nb::bytes& record) {
            const auto* data = static_cast<const uint8_t*>(record.data());
            e.FinishTap(As<TapId>(tap), ByteView(data, record.size()));
          },
          nb::arg("tap"), nb::arg("record"))
      .def(
          "resume_tap",
          [](Engine& e, int64_t tap, uint64_t position) { e.ResumeTap(As<TapId>(tap), position); },
          nb::arg("tap"), nb::arg("position"))
      .def(
          "acknowledge_tap",
          [](Engine& e, int64_t tap, uint64_t position) { e.AcknowledgeTap(As<TapId>(tap), position); },
          nb::arg("tap"), nb::arg("position"))
      .def(
          "update_tap",
          [](Engine& e, int64_t tap, int64_t keyframe_interval_ms, int64_t max_width, int64_t max_height) {
            const TapDemand demand = ToDemand(keyframe_interval_ms, max_width, max_height);
            Do([&, id = As<TapId>(tap)] { return e.UpdateTap(id, demand); });
          },
          nb::arg("tap"), nb::kw_only(), nb::arg("keyframe_interval_ms") = 0, nb::arg("max_width") = 0,
          nb::arg("max_height") = 0)
      .def(
          "request_tap_keyframe",
          [](Engine& e, int64_t tap) { Do([&, id = As<TapId>(tap)] { return e.RequestTapKeyframe(id); }); },
          nb::arg("tap"))
      .def("expire_taps",
           [](Engine& e) {
             WithoutGil([&] {
               e.ExpireTaps();
               return 0;
             });
           })
      .def(
          "tap_state", [](Engine& e, int64_t tap) { return e.TapState(As<TapId>(tap)); }, nb::arg("tap"))
      .def_prop_ro("retained", [](Engine& e) { return e.retained(); })
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
