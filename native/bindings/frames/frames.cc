// The Python module of libs/frames: packets of a frame in, the frame and its description out. It is a module
// of its own, because nexus_media carries no media (native/python/tests/test_surface.py).
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include "engine/frames/depacketizer.h"
#include "engine/frames/frame_description.h"
#include "engine/frames/shown_layer.h"

namespace nb = nanobind;

namespace nexus::bindings {
namespace {

// The numbers of nexus.types.v1.Codec.
Codec VideoCodec(int number) {
  switch (number) {
    case 2:
      return Codec::kVp8;
    case 3:
      return Codec::kVp9;
    case 4:
      return Codec::kH264;
    case 5:
      return Codec::kAv1;
    default:
      throw nb::value_error("codec must be the number of a video codec: 2 to 5");
  }
}

ByteView View(const nb::bytes& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size()};
}

nb::bytes ToBytes(const std::vector<uint8_t>& bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::optional<nb::bytes> DepacketizeFrame(int codec, const nb::sequence& payloads) {
  const Codec video = VideoCodec(codec);
  std::vector<nb::bytes> owned;
  std::vector<ByteView> views;
  for (const nb::handle item : payloads) {
    owned.push_back(nb::cast<nb::bytes>(item));
    views.push_back(View(owned.back()));
  }
  std::vector<uint8_t> frame;
  if (!Depacketize(video, views, frame)) return std::nullopt;
  return ToBytes(frame);
}

}  // namespace

NB_MODULE(_depacketizer, module) {
  module.doc() = "The engine's depacketizer, and what containers need to know of a frame.";
  nb::class_<FrameDescription>(module, "FrameDescription")
      .def_ro("keyframe", &FrameDescription::keyframe)
      .def_ro("has_picture", &FrameDescription::has_picture)
      .def_ro("width", &FrameDescription::width)
      .def_ro("height", &FrameDescription::height)
      .def_ro("spatial_layers", &FrameDescription::spatial_layers)
      .def_prop_ro("configuration", [](const FrameDescription& d) { return ToBytes(d.configuration); });
  nb::class_<ShownLayer>(module, "ShownLayer")
      .def(nb::init<>())
      .def(
          "apply",
          [](ShownLayer& self, const nb::bytes& picture) { return ToBytes(self.Apply(View(picture))); },
          nb::arg("picture"));
  module.def("depacketize", &DepacketizeFrame, nb::arg("codec"), nb::arg("payloads"));
  module.def(
      "describe",
      [](int codec, const nb::bytes& frame) { return DescribeFrame(VideoCodec(codec), View(frame)); },
      nb::arg("codec"), nb::arg("frame"));
}

}  // namespace nexus::bindings
