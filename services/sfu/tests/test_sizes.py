"""The sizes of a track's layers that the engine receives."""

from nexus_sfu.core import watching
from nexus_sfu.core.model import Codec, Format, Layer, Source, Track, View


def track(**more: object) -> Track:
    return Track("TR_1", 1, "PA_1", Source.CAMERA, Format(Codec.VP8), "0", **more)  # type: ignore[arg-type]


def test_sizes_are_those_of_the_layers_low_to_high() -> None:
    layers = (Layer("q", 0, 320, 180), Layer("h", 1, 640, 360), Layer("f", 2, 1280, 720))
    assert track(layers=layers).sizes == ((320, 180), (640, 360), (1280, 720))


def test_layers_that_are_not_sent_are_not_needed() -> None:
    layers = (Layer("q", 0, 320, 240), Layer("h", 1, 640, 480), Layer("f", 2, inactive=True))
    small = track(width=640, height=480, layers=layers)
    assert [layer.rid for layer in small.sent_layers] == ["q", "h"]
    assert watching.needed_layer(None, small) == 1
    assert watching.needed_layer(View("TR_1", 1280, 720), small) == 1
    assert watching.needed_layer(View("TR_1", 320, 240), small) == 0
    assert watching.needed_layer(View("TR_1", 1280, 720, max_spatial=2), small) == 1


def test_the_top_layer_is_as_large_as_the_track_unless_specified() -> None:
    layers = (Layer("q"), Layer("f", 1))
    assert track(width=1920, height=1080, layers=layers).sizes == ((0, 0), (1920, 1080))
    assert track(width=640, height=480).sizes == ((640, 480),)
