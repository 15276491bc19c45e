"""Offers with several encodings: the answer, the media for the room, and refusals."""

import pytest
from nexus_rpc import RpcError
from nexus_sfu.core.model import Codec, Extension, Layer, PublicationOffer, Source
from nexus_sfu.sdp import Negotiated, PublicationRequest, negotiate, parse_offer
from nexus_sfu.sdp.simulcast import MAX_ENCODINGS, MAX_RIDS

from services.sfu.tests.test_sdp import OfferReader, answer, sections

RIDS = ("a=rid:h send", "a=rid:q send", "a=rid:f send", "a=simulcast:send f;h;q")
LOW_TO_HIGH = (
    Layer("q", width=320, height=180, max_bitrate_bps=150_000),
    Layer("h", width=640, height=360, max_bitrate_bps=500_000),
    Layer("f", width=1280, height=720, max_bitrate_bps=1_700_000),
)


@pytest.fixture
def offer(read_offer: OfferReader) -> str:
    return read_offer("chromium_join")


def with_lines(offer: str, *lines: str) -> str:
    """Adds lines to the camera's section and removes its SSRCs."""
    before, camera, after = offer.partition("a=mid:1\r\n")
    head, more, tail = after.partition("m=")
    kept = [
        line for line in head.split("\r\n")[:-1] if not line.startswith(("a=ssrc", "a=rid", "a=simulcast"))
    ]
    return before + camera + "\r\n".join([*kept, *lines]) + "\r\n" + more + tail


def camera_of(offer: str, *lines: str, layers: tuple[Layer, ...] = (), mode: str = "") -> Negotiated:
    request = PublicationRequest("1", Source.CAMERA, layers=layers, scalability_mode=mode)
    return negotiate(parse_offer(with_lines(offer, *lines)), [request])


def publication(result: Negotiated) -> PublicationOffer:
    (found,) = result.media.publications
    return found


def refusal(offer: str, *lines: str, layers: tuple[Layer, ...] = (), mode: str = "") -> str:
    with pytest.raises(RpcError) as caught:
        camera_of(offer, *lines, layers=layers, mode=mode)
    return caught.value.name


def test_rids_are_answered_in_the_offers_order_and_ranked_by_the_publication(offer: str) -> None:
    result = camera_of(offer, *RIDS, layers=LOW_TO_HIGH)
    camera = sections(answer(result))[1]
    assert [line for line in camera if line.startswith("a=rid:")] == [
        "a=rid:f recv",
        "a=rid:h recv",
        "a=rid:q recv",
    ]
    assert "a=simulcast:recv f;h;q" in camera
    assert any("rtp-stream-id" in line for line in camera)
    assert any("repaired-rtp-stream-id" in line for line in camera)
    assert "a=fmtp:97 apt=96" in camera  # one RTX payload type for all encodings
    found = publication(result)
    assert found.rids == ("q", "h", "f")
    assert [layer.spatial for layer in found.layers] == [0, 1, 2]
    assert found.layers[2].max_bitrate_bps == 1_700_000
    assert found.ssrcs == found.rtx_ssrcs == ()
    extensions = dict(result.media.transport.extensions)
    assert {Extension.MID, Extension.RTP_STREAM_ID, Extension.REPAIRED_RTP_STREAM_ID} <= extensions.keys()


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_simulcast_of_browsers(browser: str, read_offer: OfferReader) -> None:
    request = PublicationRequest("1", Source.CAMERA, layers=LOW_TO_HIGH)
    result = negotiate(parse_offer(read_offer(f"{browser}_simulcast")), [request])
    camera = sections(answer(result))[1]
    assert "a=simulcast:recv q;h;f" in camera
    assert [line for line in camera if line.startswith("a=rid:")] == [f"a=rid:{r} recv" for r in "qhf"]
    assert publication(result).rids == ("q", "h", "f")


def test_without_layers_the_order_of_simulcast_applies(offer: str) -> None:
    assert publication(camera_of(offer, *RIDS)).rids == ("f", "h", "q")


def test_an_encoding_without_a_layer_is_not_accepted(offer: str) -> None:
    result = camera_of(offer, *RIDS, layers=LOW_TO_HIGH[:2])
    camera = sections(answer(result))[1]
    assert "a=simulcast:recv h;q" in camera
    assert "a=rid:f recv" not in camera
    assert publication(result).rids == ("q", "h")


def test_ssrcs_beside_rids_are_ignored(offer: str) -> None:
    result = camera_of(offer, *RIDS, "a=ssrc:11 cname:x", "a=ssrc:12 cname:x", "a=ssrc:13 cname:x")
    assert publication(result).ssrcs == ()


def test_pauses_and_restrictions_are_mirrored(offer: str) -> None:
    lines = ("a=rid:q send pt=96", "a=rid:f send pt=96,98;max-width=1280", "a=simulcast:send q;~f")
    camera = sections(answer(camera_of(offer, *lines)))[1]
    assert "a=rid:f recv pt=96;max-width=1280" in camera
    assert "a=simulcast:recv q;~f" in camera


def test_the_first_usable_alternative_is_accepted(offer: str) -> None:
    lines = ("a=rid:a send pt=98", "a=rid:b send", "a=rid:c send", "a=simulcast:send a,b;c recv x")
    camera = sections(answer(camera_of(offer, *lines)))[1]
    assert "a=simulcast:recv b;c" in camera


def test_a_single_encoding_is_not_simulcast(offer: str) -> None:
    result = camera_of(offer, "a=rid:q send", "a=simulcast:send q")
    assert publication(result).layers == ()
    assert not any("simulcast" in line or "a=rid" in line for line in sections(answer(result))[1])


def test_a_slot_is_never_answered_with_simulcast(offer: str) -> None:
    text = with_lines(offer, *RIDS)
    assert "a=simulcast" not in answer(negotiate(parse_offer(text), []))


def test_simulcast_by_ssrc(offer: str) -> None:
    lines = ["a=ssrc-group:SIM 11 12 13"]
    lines += [f"a=ssrc-group:FID {ssrc} {ssrc + 10}" for ssrc in (13, 12, 11)]
    lines += [f"a=ssrc:{ssrc} cname:x" for ssrc in (13, 12, 11, 21, 22, 23)]
    found = publication(camera_of(offer, *lines))
    assert found.ssrcs == (11, 12, 13)
    assert found.rtx_ssrcs == (21, 22, 23)
    assert [layer.spatial for layer in found.layers] == [0, 1, 2]
    assert found.rids == ()


def test_incomplete_repair_streams_are_ignored(offer: str) -> None:
    lines = ("a=ssrc-group:SIM 11 12", "a=ssrc-group:FID 12 22", "a=ssrc:11 cname:x", "a=ssrc:12 cname:x")
    assert publication(camera_of(offer, *lines)).rtx_ssrcs == ()


def test_spatial_layers_need_nothing_in_the_sdp(offer: str) -> None:
    request = PublicationRequest("1", Source.CAMERA, preferred=Codec.VP9, scalability_mode="L3T3_KEY")
    (found,) = negotiate(parse_offer(with_lines(offer)), [request]).media.publications
    assert found.codec is Codec.VP9
    assert found.scalability_mode == "L3T3_KEY"
    assert [layer.spatial for layer in found.layers] == [0, 1, 2]
    assert publication(camera_of(offer, mode="L1T3")).layers == ()


def test_a_codec_without_spatial_layers_has_none(offer: str) -> None:
    """The publisher planned for VP9, but the answer selects VP8."""
    found = publication(camera_of(offer, layers=(Layer(), Layer(), Layer()), mode="L3T3_KEY"))
    assert found.codec is Codec.VP8
    assert found.layers == ()
    assert found.scalability_mode == ""


@pytest.mark.parametrize(
    "lines",
    [
        [f"a=rid:r{i} send" for i in range(100)],
        [*(f"a=rid:r{i} send" for i in range(16)), "a=simulcast:send " + ",".join(["r1"] * 100)],
        ["a=rid:a send", "a=rid:a send", "a=simulcast:send a"],
        ["a=rid:a send", "a=simulcast:send a;b"],
        ["a=rid:a send", "a=rid:b recv", "a=simulcast:send a;b"],
        ["a=rid:a send", "a=rid:b send", "a=simulcast:send a;b;a"],
        ["a=rid:a send", "a=rid:b send", "a=simulcast:send a;b send a;b"],
        ["a=rid:a send", "a=simulcast:a"],
        ["a=rid:a send", "a=simulcast:send"],
        ["a=rid:a send", "a=simulcast:send a;;"],
        ["a=rid:a" + "x" * 16 + " send"],
        ["a=rid:a;b send"],
        ["a=ssrc-group:SIM 1 2", "a=ssrc-group:SIM 3 4"],
        ["a=ssrc-group:SIM 1 1"],
        ["a=ssrc-group:SIM 1 2 3 4 5"],
        [*(f"a=rid:r{i} send" for i in range(5)), "a=simulcast:send r0;r1;r2;r3;r4"],
    ],
)  # fmt: skip
def test_hostile_encodings_are_refused(offer: str, lines: list[str]) -> None:
    assert refusal(offer, *lines) == "INVALID_SDP"


def test_an_ssrc_group_cannot_name_another_sections_ssrc(offer: str) -> None:
    text = with_lines(offer, "a=ssrc-group:SIM 11 12")
    microphone = text.replace("a=mid:0\r\n", "a=mid:0\r\na=ssrc:12 cname:x\r\n", 1)
    with pytest.raises(RpcError) as caught:
        parse_offer(microphone)
    assert caught.value.name == "INVALID_SDP"


def test_layers_must_match_the_offer(offer: str) -> None:
    unknown = (Layer("q"), Layer("x"))
    assert refusal(offer, *RIDS, layers=unknown) == "INVALID_ARGUMENT"
    assert refusal(offer, *RIDS, layers=(Layer("q"), Layer("q"))) == "INVALID_ARGUMENT"
    assert refusal(offer, layers=LOW_TO_HIGH) == "INVALID_ARGUMENT"
    for lines, layers in ((), (Layer(), Layer())), ((), (Layer("q"),) * 3), (RIDS, ()):
        request = PublicationRequest(
            "1", Source.CAMERA, preferred=Codec.VP9, layers=layers, scalability_mode="L3T3"
        )
        with pytest.raises(RpcError) as caught:
            negotiate(parse_offer(with_lines(offer, *lines)), [request])
        assert caught.value.name == "INVALID_ARGUMENT"
    for mode in ("L4T1", "L1T1\r\na=x", "l1t1", "L1", "L1T3_KEYS"):
        assert refusal(offer, mode=mode) == "INVALID_ARGUMENT"


def test_rids_require_their_extensions(offer: str) -> None:
    bare = "\r\n".join(line for line in offer.split("\r\n") if "sdes:rtp-stream-id" not in line)
    assert refusal(bare, *RIDS) == "INVALID_SDP"


def test_the_limits_match_the_engine() -> None:
    assert MAX_ENCODINGS == 4
    assert MAX_RIDS >= MAX_ENCODINGS
