"""Offers and answers that the load writes, and descriptions that it reads from a server."""

import pytest
from _sdp import (
    AUDIO_LEVEL,
    AUDIO_PT,
    EXTENSIONS,
    RTX_PT,
    VIDEO_PT,
    Endpoint,
    Published,
    answer,
    media_lines,
    publisher_offer,
    read,
)

ENDPOINT = Endpoint(peer=7, ufrag="0123", pwd="secret" * 4, fingerprint="AA:BB", address="10.128.0.7:4000")
SIMULCAST = [("q", 11, 12), ("h", 13, 14), ("f", 15, 16)]

# An offer like LiveKit's to a subscriber: data first, other payload types, and codecs that are not supported.
SERVER_OFFER = "\r\n".join(
    [
        *("v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2 3"),
        "a=fingerprint:sha-256 CC:DD",
        *(
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            "a=setup:actpass",
            "a=mid:0",
        ),
        *("a=sendrecv", "a=sctp-port:5000", "a=ice-ufrag:00042", "a=ice-pwd:pwd"),
        "a=candidate:1 1 udp 2130706431 10.77.0.1 5000 typ host",
        "a=candidate:1 2 udp 2130706431 10.77.0.1 5000 typ host",
        "a=candidate:2 1 tcp 1518280447 10.77.0.1 5001 typ host tcptype passive",
        "a=candidate:3 1 udp 2130706431 fd00::1 5002 typ host",
        *(
            "m=audio 9 UDP/TLS/RTP/SAVPF 109 63",
            "c=IN IP4 0.0.0.0",
            "a=setup:actpass",
            "a=mid:1",
            "a=sendonly",
        ),
        *(
            "a=rtpmap:109 opus/48000/2",
            "a=rtpmap:63 red/48000/2",
            f"a=extmap:6 {AUDIO_LEVEL}",
            "a=extmap:7 urn:x",
        ),
        *("a=ssrc:100 cname:a",),
        *("m=video 9 UDP/TLS/RTP/SAVPF 120 121 126", "c=IN IP4 0.0.0.0", "a=setup:actpass", "a=mid:2"),
        *("a=sendonly", "a=rtpmap:120 VP8/90000", "a=rtpmap:121 rtx/90000", "a=fmtp:121 apt=120"),
        *("a=rtpmap:126 H264/90000", "a=ssrc-group:FID 200 201", "a=ssrc:200 cname:a", "a=ssrc:201 cname:a"),
        *("m=video 9 UDP/TLS/RTP/SAVPF 126", "c=IN IP4 0.0.0.0", "a=setup:actpass", "a=mid:3", "a=sendonly"),
        *("a=rtpmap:126 H264/90000", "a=ssrc:300 cname:a", ""),
    ]
)


def test_an_offer_names_every_encoding_of_a_simulcast_camera() -> None:
    sdp = publisher_offer(ENDPOINT, Published(10, SIMULCAST), setup="active")
    assert "a=simulcast:send q;h;f\r\n" in sdp
    assert [line for line in sdp.splitlines() if line.startswith("a=rid:")] == [
        "a=rid:q send",
        "a=rid:h send",
        "a=rid:f send",
    ]
    read_back = read(sdp)
    assert [section.mid for section in read_back.sections] == ["0", "1"]
    assert read_back.setup == "active"
    assert read_back.candidates == ("10.128.0.7:4000",)
    assert read_back.sections[1].payload_types["vp8"] == VIDEO_PT
    assert read_back.sections[1].rtx == {VIDEO_PT: RTX_PT}


def test_a_single_encoding_is_offered_by_its_ssrc() -> None:
    (section,) = read(publisher_offer(ENDPOINT, Published(None, [("f", 15, 16)]))).sections
    assert (section.ssrc, section.rtx_ssrc) == (15, 16)


def test_slots_are_receive_only_sections() -> None:
    sdp = publisher_offer(ENDPOINT, Published(10), slots=[("audio", "a0"), ("video", "v0")])
    assert [(s.mid, s.direction) for s in read(sdp).sections] == [
        ("0", "sendonly"),
        ("a0", "recvonly"),
        ("v0", "recvonly"),
    ]
    assert "a=group:BUNDLE 0 a0 v0\r\n" in sdp


def test_a_user_fragment_of_digits_stays_text() -> None:
    assert read(SERVER_OFFER).ufrag == "00042"


def test_only_ipv4_host_candidates_over_udp_are_read() -> None:
    assert read(SERVER_OFFER).candidates == ("10.77.0.1:5000",)


def test_streams_are_read_from_the_servers_ssrcs() -> None:
    assert [(s.kind, s.ssrc, s.rtx_ssrc) for s in read(SERVER_OFFER).received()] == [
        ("audio", 100, 0),
        ("video", 200, 201),
        ("video", 300, 0),
    ]


def test_an_answer_accepts_supported_sections_and_rejects_others() -> None:
    sdp = answer(read(SERVER_OFFER), ENDPOINT)
    sections = [line for line in sdp.splitlines() if line.startswith("m=")]
    assert sections == [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "m=audio 9 UDP/TLS/RTP/SAVPF 109",
        "m=video 9 UDP/TLS/RTP/SAVPF 120 121",
        "m=video 0 UDP/TLS/RTP/SAVPF 0",
    ]
    assert "a=group:BUNDLE 0 1 2\r\n" in sdp
    assert sdp.count("a=setup:active") == 3
    assert sdp.count("a=recvonly") == 2
    assert f"a=extmap:6 {AUDIO_LEVEL}" in sdp
    assert "urn:x" not in sdp


def test_the_generator_receives_the_servers_payload_types() -> None:
    lines = media_lines(read(SERVER_OFFER))
    assert lines[0] == "forget"
    assert "codec name=opus pt=109 clock=48000" in lines
    assert "codec name=VP8 pt=120 clock=90000 rtx=121" in lines
    assert f"extension uri={AUDIO_LEVEL} id=6" in lines


def test_later_candidates_are_added() -> None:
    description = read(SERVER_OFFER).with_candidates(["10.77.0.1:9", "10.77.0.1:8"])
    assert description.transport.endswith("candidate=10.77.0.1:8 candidate=10.77.0.1:9")


@pytest.mark.parametrize("missing", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"])
def test_a_description_without_transport_parameters_is_an_error(missing: str) -> None:
    lines = [line for line in SERVER_OFFER.split("\r\n") if not line.startswith(missing)]
    with pytest.raises(ValueError):
        read("\r\n".join(lines))


def test_extension_ids_fit_the_one_byte_header() -> None:
    assert max(EXTENSIONS) < 15  # RFC 8285 section 4.2
    assert AUDIO_PT not in (VIDEO_PT, RTX_PT)
