"""Offers of real browsers and aiortc, and the answers to them."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from nexus_rpc import RpcError
from nexus_sfu.core import slot_table
from nexus_sfu.core.model import (
    Codec,
    Extension,
    Grants,
    IceCredentials,
    Kind,
    Participant,
    Setup,
    Slot,
    Source,
)
from nexus_sfu.sdp import (
    AnswerTransport,
    CandidateLine,
    Negotiated,
    PublicationRequest,
    build_answer,
    negotiate,
    parse_offer,
)

OfferReader = Callable[[str], str]

TRANSPORT = AnswerTransport(
    IceCredentials("abcd", "p" * 24),
    (
        CandidateLine("1", 2_130_706_431, "192.0.2.1", 7882),
        CandidateLine("2", 2_130_706_175, "2001:db8::1", 7882),
    ),
    ":".join(["AB"] * 32),
)
REQUESTS = (
    PublicationRequest("0", Source.MICROPHONE),
    PublicationRequest("1", Source.CAMERA),
)
BROWSERS = ("chromium", "firefox")
CASES = ("join", "more_slots", "camera_off", "stopped", "recycled", "ice_restart", "data")


def slots_of(negotiated: Negotiated) -> dict[str, Slot]:
    """Slots as a room assigns them, with SSRCs like those of an engine."""
    media = negotiated.media
    participant = Participant("PA_1", "alice", "", "", {}, Grants(), 0, media.transport)
    slot_table.reconcile(participant, media.slots, {})
    for index, slot in enumerate(participant.slots.values()):
        slot.ssrc = 1_000 + index
        slot.rtx_ssrc = 2_000 + index if slot.kind is Kind.VIDEO and slot.rtx else None
    return participant.slots


def answer(negotiated: Negotiated, slots: dict[str, Slot] | None = None) -> str:
    given = slots_of(negotiated) if slots is None else slots
    return build_answer(negotiated, TRANSPORT, given, session_id=7, session_version=3)


def sections(sdp: str) -> list[list[str]]:
    return [("m=" + part).split("\r\n")[:-1] for part in sdp.split("m=")[1:]]


def negotiated(sdp: str, *requests: PublicationRequest) -> Negotiated:
    return negotiate(parse_offer(sdp), requests)


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("case", CASES)
def test_answers_match_their_offers(browser: str, case: str, read_offer: OfferReader) -> None:
    offer_text = read_offer(f"{browser}_{case}")
    requests = [request for request in REQUESTS if f"a=mid:{request.mid}\r" in offer_text]
    result = negotiate(parse_offer(offer_text), requests)
    text = answer(result)
    assert text.endswith("\r\n")
    assert "\r\n\r\n" not in text
    offered, answered = sections(offer_text), sections(text)
    assert len(offered) == len(answered)
    live = [s for s in answered if s[0].split()[1] != "0"]
    mids = [line[6:] for s in live for line in s if line.startswith("a=mid:")]
    assert f"a=group:BUNDLE {' '.join(mids)}\r\n" in text
    for before, after in zip(offered, answered, strict=True):
        assert before[0].split()[0::2][:2] == after[0].split()[0::2][:2]  # kind and protocol
        assert set(after[0].split()[3:]) <= set(before[0].split()[3:])
        extmaps = [re.sub("/[a-z]+", "", line) for line in after if line.startswith("a=extmap:")]
        assert set(extmaps) <= {re.sub("/[a-z]+", "", line) for line in before}
        assert [line for line in before if line.startswith("a=mid")] == [
            line for line in after if line.startswith("a=mid")
        ]
    assert "goog-remb" not in text
    for section in live:
        assert "a=setup:passive" in section
        assert ("a=rtcp-mux" in section) is not section[0].startswith("m=application")
        assert sum(line.startswith("a=candidate:") for line in section) == 2
        assert "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host" in section
        assert "a=end-of-candidates" in section
        assert "a=ice-ufrag:abcd" in section
        assert f"a=fingerprint:sha-256 {TRANSPORT.fingerprint}" in section


def test_the_answer_to_chromium(read_offer: OfferReader) -> None:
    result = negotiated(read_offer("chromium_join"), *REQUESTS)
    microphone, camera, audio_slot, video_slot, *_ = sections(answer(result))
    # RED precedes the codec that it contains: otherwise libwebrtc does not send it.
    assert microphone[0] == "m=audio 7882 UDP/TLS/RTP/SAVPF 63 111"
    assert "a=rtpmap:63 red/48000/2" in microphone
    assert "a=fmtp:63 111/111" in microphone
    assert "a=recvonly" in microphone
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in microphone
    assert "a=rtcp-fb:111 transport-cc" in microphone
    assert "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level" in microphone
    # One codec and its RTX: a publisher cannot change the codec while others receive it.
    assert camera[0] == "m=video 7882 UDP/TLS/RTP/SAVPF 96 97"
    feedback = ["transport-cc", "ccm fir", "nack", "nack pli"]
    assert [line for line in camera if "rtcp-fb" in line] == [f"a=rtcp-fb:96 {kind}" for kind in feedback]
    assert "a=fmtp:97 apt=96" in camera
    assert not any("ssrc" in line and "extmap" not in line for line in camera)
    assert "a=sendonly" in audio_slot
    assert audio_slot[0] == "m=audio 7882 UDP/TLS/RTP/SAVPF 111 63"
    assert "a=msid:pair-0 pair-0-audio" in audio_slot
    assert "a=ssrc:1000 cname:pair-0" in audio_slot
    assert "a=msid:pair-0 pair-0-video" in video_slot
    assert "a=ssrc-group:FID 1001 2001" in video_slot
    codecs = [line.split()[1] for line in video_slot if line.startswith("a=rtpmap") and "rtx" not in line]
    assert {codec.split("/")[0] for codec in codecs} == {"VP8", "VP9", "H264", "AV1"}
    assert "a=msid:audio-12 audio-12-audio" in sections(answer(result))[12]
    extensions = dict(result.media.transport.extensions)
    assert extensions[Extension.AUDIO_LEVEL] == 1
    assert extensions[Extension.TRANSPORT_WIDE_CC] == 3
    assert Extension.DEPENDENCY_DESCRIPTOR not in extensions  # not offered by this browser


def test_the_media_of_chromiums_offer(read_offer: OfferReader) -> None:
    text = read_offer("chromium_join")
    media = negotiated(text, *REQUESTS).media
    microphone, camera = media.publications
    fid = re.search(r"a=ssrc-group:FID (\d+) (\d+)", text)
    assert fid is not None
    assert (camera.ssrcs, camera.rtx_ssrcs) == ((int(fid[1]),), (int(fid[2]),))
    assert len(microphone.ssrcs) == 1
    assert microphone.rtx_ssrcs == ()
    assert [slot.mid for slot in media.slots] == [str(mid) for mid in range(2, 13)]
    vp8 = next(c for c in media.transport.codecs if c.codec is Codec.VP8)
    assert (vp8.payload_type, vp8.rtx_payload_type) == (96, 97)
    assert media.transport.reduced_size_rtcp


@pytest.mark.parametrize(
    ("preferred", "answered"),
    [
        (None, "VP8/90000"),
        (Codec.VP8, "VP8/90000"),
        (Codec.H264, "H264/90000"),
        (Codec.VP9, "VP9/90000"),
        (Codec.AV1, "AV1/90000"),
        (Codec.OPUS, "VP8/90000"),
    ],
)
def test_preferred_codec(preferred: Codec | None, answered: str, read_offer: OfferReader) -> None:
    request = PublicationRequest("1", Source.CAMERA, preferred=preferred)
    result = negotiated(read_offer("chromium_join"), request)
    camera = sections(answer(result))[1]
    assert [line.split()[1] for line in camera if line.startswith("a=rtpmap")] == [answered, "rtx/90000"]
    if preferred is Codec.H264:
        assert any("packetization-mode=1;profile-level-id=42e01f" in line for line in camera)
        (choice,) = [c for c in result.media.transport.codecs if str(c.payload_type) == camera[0].split()[3]]
        assert (choice.h264_profile_level_id, choice.h264_packetization_mode) == (0x42E01F, 1)


def test_a_preference_that_is_not_offered_falls_back(read_offer: OfferReader) -> None:
    request = PublicationRequest("1", Source.CAMERA, preferred=Codec.H264)
    result = negotiated(read_offer("firefox_join"), request)
    assert result.media.publications[0].codec is Codec.VP8
    order = (Codec.AV1, Codec.VP8)
    result = negotiate(parse_offer(read_offer("firefox_join")), [request], order)
    assert result.media.publications[0].codec is Codec.AV1


def test_opus_parameters_are_mirrored(read_offer: OfferReader) -> None:
    microphone = sections(answer(negotiated(read_offer("firefox_join"), *REQUESTS)))[0]
    assert "a=fmtp:109 minptime=10;useinbandfec=1;stereo=1" in microphone
    dtx = read_offer("chromium_join").replace("useinbandfec=1", "useinbandfec=1;usedtx=1")
    microphone = sections(answer(negotiated(dtx, *REQUESTS)))[0]
    assert "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1" in microphone


RED = "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"


def without_red(offer: str, *mids: int) -> str:
    """The offer of a page that disables redundant audio in some sections."""
    head, *media = offer.split("m=")
    for mid in mids:
        media[mid] = media[mid].replace(RED, "").replace("SAVPF 111 63 ", "SAVPF 111 ")
    return "m=".join([head, *media])


def red_of(result: Negotiated) -> int | None:
    (opus,) = [c for c in result.media.transport.codecs if c.codec is Codec.OPUS]
    return opus.red_payload_type


def test_redundant_audio_is_accepted_where_offered(read_offer: OfferReader) -> None:
    assert red_of(negotiated(read_offer("chromium_join"), *REQUESTS)) == 63
    assert red_of(negotiated(read_offer("firefox_join"), *REQUESTS)) is None
    assert " red/" not in answer(negotiated(read_offer("firefox_join"), *REQUESTS))


def test_a_publication_may_do_without_redundancy(read_offer: OfferReader) -> None:
    result = negotiated(without_red(read_offer("chromium_join"), 0), *REQUESTS)
    microphone, _, audio_slot, *_ = sections(answer(result))
    assert microphone[0] == "m=audio 7882 UDP/TLS/RTP/SAVPF 111"
    assert not any("red/" in line for line in microphone)
    assert "a=rtpmap:63 red/48000/2" in audio_slot
    assert red_of(result) == 63


def test_redundancy_is_for_all_slots_or_for_none(read_offer: OfferReader) -> None:
    result = negotiated(without_red(read_offer("chromium_join"), 4), *REQUESTS)
    assert "red/" not in answer(result)
    assert red_of(result) is None


@pytest.mark.parametrize(
    "fmtp", ["a=fmtp:63 111/0", "a=fmtp:63 9/9", "a=fmtp:63 foo", "a=fmtp:63 111;111", "a=ptime:20"]
)
def test_redundancy_of_another_codec_is_not_accepted(fmtp: str, read_offer: OfferReader) -> None:
    offer = read_offer("chromium_join").replace("a=fmtp:63 111/111", fmtp)
    assert red_of(negotiated(offer, *REQUESTS)) is None


def test_redundancy_with_a_used_payload_type_is_not_accepted(read_offer: OfferReader) -> None:
    head, *media = read_offer("chromium_join").split("m=")
    # The first video section uses 63 for VP8; a payload type has one meaning in a BUNDLE group.
    media[1] = media[1].replace(":96 ", ":63 ").replace(" 96 ", " 63 ").replace("apt=96", "apt=63")
    result = negotiated("m=".join([head, *media]), *REQUESTS)
    numbers = [
        number
        for c in result.media.transport.codecs
        for number in (c.payload_type, c.rtx_payload_type, c.red_payload_type)
        if number is not None
    ]
    assert len(numbers) == len(set(numbers))


def test_video_red_and_fec_are_not_accepted(read_offer: OfferReader) -> None:
    """docs/decisions/0005: slots renumber packets, so they cannot forward error correction."""
    text = answer(negotiated(read_offer("chromium_join"), *REQUESTS))
    assert "red/90000" not in text
    assert "ulpfec" not in text
    assert "flexfec" not in text


def test_data_sections_are_answered(read_offer: OfferReader) -> None:
    """RFC 8841: the browser's size limit is read, and the answer contains ours."""
    for browser, limit in (("chromium", 262_144), ("firefox", 1_073_741_823)):
        result = negotiated(read_offer(f"{browser}_data"), *REQUESTS)
        assert result.media.data is not None
        assert (result.media.data.port, result.media.data.max_message_size) == (5000, limit)
        text = answer(result)
        last = sections(text)[-1]
        assert re.fullmatch(r"m=application [1-9]\d* UDP/DTLS/SCTP webrtc-datachannel", last[0])
        assert "a=sctp-port:5000" in last
        assert "a=max-message-size:262144" in last
        assert not any(line.startswith(("a=rtcp", "a=inactive")) for line in last)
        mid = result.media.data.mid
        assert f" {mid}" in next(line for line in text.split("\r\n") if line.startswith("a=group:BUNDLE"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=sctp-port:5000\r\n", ""),
        ("a=sctp-port:5000", "a=sctp-port:0"),
        ("UDP/DTLS/SCTP webrtc-datachannel", "UDP/DTLS/SCTP sip"),
        ("UDP/DTLS/SCTP", "DTLS/SCTP"),
    ],
)
def test_unsupported_data_sections_are_rejected(read_offer: OfferReader, before: str, after: str) -> None:
    result = negotiated(read_offer("chromium_data").replace(before, after), *REQUESTS)
    assert result.media.data is None
    assert sections(answer(result))[-1][0].startswith("m=application 0 ")


@pytest.mark.parametrize("line", ["a=sctp-port:65536", "a=sctp-port:x", "a=sctp-port:"])
def test_a_bad_sctp_port_is_reported(read_offer: OfferReader, line: str) -> None:
    with pytest.raises(RpcError, match="an SCTP port"):
        negotiated(read_offer("chromium_data").replace("a=sctp-port:5000", line), *REQUESTS)


def test_unlisted_and_ungranted_sections_are_inactive(read_offer: OfferReader) -> None:
    text = answer(negotiated(read_offer("chromium_join")), slots={})
    assert all("a=inactive" in section for section in sections(text))
    assert "cname" not in text


def test_tokens_that_look_like_numbers_are_unchanged(read_offer: OfferReader) -> None:
    """sdp-transform's parser would turn these into 123 and 1.2e+5."""
    for ufrag, mid in (("00123", "007"), ("12e4", "1e1"), ("0000", "1_0")):
        text = re.sub("a=ice-ufrag:.*\r", f"a=ice-ufrag:{ufrag}\r", read_offer("chromium_join"))
        text = text.replace("a=mid:12\r", f"a=mid:{mid}\r").replace(" 11 12\r", f" 11 {mid}\r")
        result = negotiated(text)
        assert result.media.transport.ice.ufrag == ufrag
        assert result.media.slots[-1].mid == mid


def test_a_payload_type_has_one_meaning_in_the_group(read_offer: OfferReader) -> None:
    """If sections disagree, the first meaning applies."""
    parts = read_offer("chromium_join").split("m=")
    parts[4] = parts[4].replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000")
    parts[4] = parts[4].replace("a=extmap:13 urn:3gpp", "a=extmap:12 urn:3gpp")
    result = negotiated("m=".join(parts), *REQUESTS)
    slot = next(plan for plan in result.plans if plan.section.mid == "3")
    assert 96 not in [accepted.rtp.payload_type for accepted in slot.codecs]
    assert 12 not in [extension.id for extension in slot.extensions]
    assert {c.payload_type: c.codec for c in result.media.transport.codecs}[96] is Codec.VP8


def test_rtx_payload_types_have_one_meaning_in_the_group(read_offer: OfferReader) -> None:
    text = read_offer("chromium_join")
    # 97 is RTX for 96 in the first video section; in others it is a codec, or RTX for another codec.
    # There the codec is accepted without RTX.
    parts = text.split("m=")
    parts[4] = parts[4].replace("a=rtpmap:97 rtx/90000", "a=rtpmap:97 VP8/90000")
    parts[6] = parts[6].replace("a=fmtp:97 apt=96", "a=fmtp:97 apt=98")
    result = negotiated("m=".join(parts), *REQUESTS)
    by_mid = {p.section.mid: {a.rtp.payload_type: a.rtx for a in p.codecs} for p in result.plans}
    assert 97 not in by_mid["3"]
    assert by_mid["3"][96] is None
    assert by_mid["5"][98] is not None
    assert [slot.rtx for slot in result.media.slots if slot.mid in ("3", "5")] == [False, False]
    used = [t for c in result.media.transport.codecs for t in (c.payload_type, c.rtx_payload_type) if t]
    assert len(used) == len(set(used))


def test_payload_types_that_look_like_rtcp_are_left_out(read_offer: OfferReader) -> None:
    text = re.sub(r"(a=(rtpmap|fmtp|rtcp-fb):)96 ", r"\g<1>72 ", read_offer("chromium_join"))
    text = text.replace("apt=96", "apt=72").replace("SAVPF 96 ", "SAVPF 72 ")
    result = negotiated(text, *REQUESTS)
    assert result.media.publications[1].codec is Codec.H264
    assert 72 not in [c.payload_type for c in result.media.transport.codecs]


def test_extension_ids_above_14_need_allow_mixed(read_offer: OfferReader) -> None:
    text = read_offer("chromium_join").replace("a=extmap:4 ", "a=extmap:20 ")
    assert dict(negotiated(text).media.transport.extensions)[Extension.MID] == 20
    text = text.replace("a=extmap-allow-mixed\r\n", "")
    assert Extension.MID not in dict(negotiated(text).media.transport.extensions)
    assert "extmap-allow-mixed" not in answer(negotiated(text))


DESCRIPTOR = (
    "a=extmap:12 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)


def with_descriptor(offer: str, *mids: int, line: str = DESCRIPTOR) -> str:
    """The offer of a page that supports dependency descriptors in some sections."""
    head, *media = offer.split("m=")
    for mid in mids:
        assert media[mid].startswith("video")
        media[mid] = media[mid].replace("a=rtcp-mux\r\n", f"{line}\r\na=rtcp-mux\r\n")
    return "m=".join([head, *media])


def video_slots(result: Negotiated) -> list[int]:
    return [int(slot.mid) for slot in result.media.slots if slot.kind is Kind.VIDEO]


def test_dependency_descriptors_are_for_all_video_slots_or_for_none(read_offer: OfferReader) -> None:
    join = read_offer("chromium_join")
    slots = video_slots(negotiated(join, *REQUESTS))
    assert len(slots) > 2
    result = negotiated(with_descriptor(join, *slots), *REQUESTS)
    assert result.media.transport.forward_descriptors
    assert dict(result.media.transport.extensions)[Extension.DEPENDENCY_DESCRIPTOR] == 12
    assert all(DESCRIPTOR in sections(answer(result))[mid] for mid in slots)
    some = negotiated(with_descriptor(join, *slots[1:]), *REQUESTS)
    assert not some.media.transport.forward_descriptors
    assert dict(some.media.transport.extensions)[Extension.DEPENDENCY_DESCRIPTOR] == 12


def test_descriptors_of_a_publication_do_not_count_for_slots(read_offer: OfferReader) -> None:
    """Chromium offers descriptors in sections that send layers, Firefox in sections that send video."""
    result = negotiated(with_descriptor(read_offer("chromium_join"), 1), *REQUESTS)
    assert dict(result.media.transport.extensions)[Extension.DEPENDENCY_DESCRIPTOR] == 12
    assert DESCRIPTOR in sections(answer(result))[1]
    assert not result.media.transport.forward_descriptors
    alone = negotiated(read_offer("chromium_simulcast"), PublicationRequest("1", Source.CAMERA))
    assert not alone.media.transport.forward_descriptors


@pytest.mark.parametrize(
    ("direction", "taken"), [("/recvonly", True), ("/sendrecv", True), ("/sendonly", False)]
)
def test_descriptors_follow_the_direction_of_the_extension(
    direction: str, taken: bool, read_offer: OfferReader
) -> None:
    join = read_offer("chromium_join")
    line = DESCRIPTOR.replace(":12 ", f":12{direction} ")
    result = negotiated(
        with_descriptor(join, *video_slots(negotiated(join, *REQUESTS)), line=line), *REQUESTS
    )
    assert result.media.transport.forward_descriptors is taken


def test_descriptors_need_allow_mixed(read_offer: OfferReader) -> None:
    """RFC 8285 section 4.1.2: without it all elements of a stream have the same form, and a template
    structure fits only into the two-byte form."""
    join = read_offer("chromium_join")
    text = with_descriptor(join, *video_slots(negotiated(join, *REQUESTS)))
    result = negotiated(text.replace("a=extmap-allow-mixed\r\n", ""), *REQUESTS)
    assert Extension.DEPENDENCY_DESCRIPTOR not in dict(result.media.transport.extensions)
    assert not result.media.transport.forward_descriptors
    assert "dependency-descriptor" not in answer(result)


def test_wildcard_feedback_applies_to_every_codec(read_offer: OfferReader) -> None:
    text = re.sub("a=rtcp-fb:.*\r\n", "", read_offer("chromium_join"))
    text = text.replace("a=rtpmap:96 VP8/90000\r\n", "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:* nack pli\r\n")
    camera = sections(answer(negotiated(text, *REQUESTS)))[1]
    assert [line for line in camera if "rtcp-fb" in line] == ["a=rtcp-fb:96 nack pli"]


def test_ipv6_default_candidate() -> None:
    candidate = CandidateLine("1", 5, "2001:db8::1", 9000)
    transport = AnswerTransport(TRANSPORT.ice, (candidate,), TRANSPORT.fingerprint)
    offer = parse_offer(MINIMAL)
    text = build_answer(negotiate(offer, ()), transport, {}, session_id=1, session_version=1)
    assert "m=audio 9000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP6 2001:db8::1\r\n" in text


def test_tcp_candidates_are_passive_and_never_the_default() -> None:
    candidates = (
        CandidateLine("1", 9, "192.0.2.1", 7882),
        CandidateLine("2", 5, "192.0.2.1", 7882, tcp=True),
    )
    transport = AnswerTransport(TRANSPORT.ice, candidates, TRANSPORT.fingerprint)
    text = build_answer(negotiate(parse_offer(MINIMAL), ()), transport, {}, session_id=1, session_version=1)
    assert "a=candidate:1 1 udp 9 192.0.2.1 7882 typ host\r\n" in text
    assert "a=candidate:2 1 tcp 5 192.0.2.1 7882 typ host tcptype passive\r\n" in text
    assert "m=audio 7882 UDP/TLS/RTP/SAVPF 111\r\n" in text


MINIMAL = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=fingerprint:sha-256 " + ":".join(["0F"] * 32),
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "p" * 22,
        "a=setup:actpass",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "",
    ]
)


def test_session_level_transport_is_enough() -> None:
    result = negotiated(MINIMAL)
    assert result.media.transport.ice == IceCredentials("abcd", "p" * 22)
    assert result.media.transport.fingerprints[0][0] == "sha-256"
    assert negotiated(MINIMAL.replace("\r\n", "\n")).media == result.media


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("a=group:BUNDLE 0\r\n", "", "BUNDLE"),
        ("BUNDLE 0", "BUNDLE 1", "mid that no media section has"),
        ("a=rtcp-mux\r\n", "", "rtcp-mux"),
        ("a=mid:0\r\n", "", "a=mid"),
        ("a=ice-pwd:", "a=icy-pwd:", "ice-pwd"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:a", "malformed"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-1 ", "fingerprint"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:ab_d", "malformed"),
        ("0F:0F", "0F:XY", "malformed"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        ("a=setup:actpass\r\n", "", "setup"),
        ("m=audio 9 ", "m=audio 0 ", "stopped"),
        ("m=audio 9 ", "m=audio 70000 ", "port"),
        ("s=-\r\n", "s=-\r\na=ice-lite\r\n", "ICE-lite"),
        ("a=rtpmap:111 ", "a=rtpmap:999 ", "payload type"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 PCMU/8000", "no usable audio, video or data section"),
        ("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=ssrc:x cname:y\r\n", "malformed line: a=ssrc:x"),
        ("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=ssrc-group:FID 1\r\n", "two SSRCs"),
        ("m=audio 9", "m=", "malformed line"),
        ("a=mid:0\r\n", "a=mid:0\r\n" + "a=extmap:1 urn:x\r\n" * 1_001, "too many lines"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "no usable audio, video or data section"),
    ],
)
def test_refusals_name_the_problem(before: str, after: str, words: str) -> None:
    assert before in MINIMAL
    with pytest.raises(RpcError) as refusal:
        negotiated(MINIMAL.replace(before, after))
    assert refusal.value.name == "INVALID_SDP"
    assert words in refusal.value.message


def test_invalid_offers_are_refused(read_offer: OfferReader) -> None:
    text = read_offer("chromium_join")
    many = text + text[text.rindex("m=") :] * 128
    twice = text.replace("a=mid:12\r", "a=mid:11\r")
    outside = text.replace(" 11 12\r", " 11\r")
    ssrc = text.replace("a=ssrc:", "a=ssrc:7 x\r\na=ssrc:")
    for offer, words in (
        ("x" * 600_000, "too large"),
        ("", "BUNDLE"),
        (many, "too many media sections"),
        (twice, "same a=mid"),
        (outside, "not in the BUNDLE group"),
        (ssrc, "two media sections"),
    ):
        with pytest.raises(RpcError, match=words):
            negotiated(offer)


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([PublicationRequest("99", Source.CAMERA)], "INVALID_SDP"),
        ([PublicationRequest("1", Source.CAMERA)] * 2, "INVALID_ARGUMENT"),
        ([PublicationRequest("1", Source.MICROPHONE)], "INVALID_ARGUMENT"),
        ([PublicationRequest("0", Source.SCREEN)], "INVALID_ARGUMENT"),
    ],
)
def test_refused_publications(requests: list[PublicationRequest], code: str, read_offer: OfferReader) -> None:
    with pytest.raises(RpcError) as refusal:
        negotiated(read_offer("chromium_join"), *requests)
    assert refusal.value.name == code


def without_rtx(section: str) -> str:
    """libwebrtc's offer after `setCodecPreferences` without RTX."""
    rtx = re.findall(r"a=rtpmap:(\d+) rtx/90000\r\n", section)
    for number in rtx:
        section = re.sub(rf"a=(rtpmap|fmtp|rtcp-fb):{number} [^\r]*\r\n", "", section)
        section = re.sub(rf"(m=video[^\r]*) {number}\b", r"\1", section, count=1)
    section = re.sub(r"a=ssrc-group:FID[^\r]*\r\n", "", section)
    assert "rtx" not in section
    return section


@pytest.mark.parametrize("part", [2, 4], ids=["publication", "slot"])
def test_a_section_without_rtx_is_accepted_beside_others_with_it(part: int, read_offer: OfferReader) -> None:
    parts = read_offer("chromium_join").split("m=")
    parts[part] = without_rtx("m=" + parts[part])[2:]
    result = negotiated("m=".join(parts), *REQUESTS)
    microphone, camera, _, slot, *_ = result.plans
    assert [plan.role.name for plan in (microphone, camera, slot)] == ["PUBLICATION", "PUBLICATION", "SLOT"]
    assert (camera.codecs[0].rtx is None) is (part == 2)
    assert all(codec.rtx is None for codec in slot.codecs) is (part == 4)
    assert result.media.publications[1].codec is Codec.VP8
    assert result.media.publications[1].payload_types == ((96,) if part == 2 else (96, 97))
    assert {c.payload_type: c.rtx_payload_type for c in result.media.transport.codecs}[96] == 97
    assert {slot.mid: slot.rtx for slot in result.media.slots if slot.kind is Kind.VIDEO}["3"] is (part == 2)
    given = slots_of(result)
    assert (given["3"].rtx_ssrc is None) is (part == 4)
    answered = sections(answer(result, given))
    assert answered[1][0].split()[1] == "7882"
    assert ("a=rtpmap:97 rtx/90000" in answered[1]) is (part == 4)
    assert any(line.startswith("a=ssrc-group:FID") for line in answered[3]) is (part == 2)


def test_a_publication_keeps_its_payload_types_against_other_sections(read_offer: OfferReader) -> None:
    parts = read_offer("chromium_join").split("m=")
    # An earlier slot uses the payload type of VP8 for VP9, and that of its RTX for H.264.
    slot = parts[4].replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000")
    parts[2], parts[4] = slot, parts[2]
    result = negotiated("m=".join(parts), *REQUESTS)
    camera = result.media.publications[1]
    assert (camera.codec, camera.payload_types) == (Codec.VP8, (96, 97))
    slot_codecs = {
        c.rtp.payload_type for plan in result.plans if plan.section.mid == "3" for c in plan.codecs
    }
    assert slot_codecs
    assert 96 not in slot_codecs
    assert [plan.section.mid for plan in result.plans] == ["0", "3", "2", "1", *map(str, range(4, 13))]


def test_a_publication_takes_another_codec_if_its_payload_type_is_used() -> None:
    first = "a=rtpmap:106 H264/90000\r\n"
    text = two_cameras(ssrcs=True)
    head, last = text[: text.rindex("m=video")], text[text.rindex("m=video") :]
    last = last.replace(first, "a=rtpmap:106 VP8/90000\r\na=rtpmap:107 VP9/90000\r\n")
    last = re.sub(r"a=fmtp:106 [^\r]*\r\n", "", last).replace("SAVPF 106", "SAVPF 106 107")
    result = negotiated(head + last, *REQUESTS, PublicationRequest("2", Source.SCREEN))
    assert [(p.codec, p.payload_types) for p in result.media.publications[1:]] == [
        (Codec.H264, (106,)),
        (Codec.VP9, (107,)),
    ]
    alone = last.replace("a=rtpmap:107 VP9/90000\r\n", "")
    with pytest.raises(RpcError, match=r"RFC 9143 section 9\.1") as refusal:
        negotiated(head + alone, *REQUESTS, PublicationRequest("2", Source.SCREEN))
    assert (refusal.value.name, refusal.value.details["mid"]) == ("INVALID_SDP", "2")


def test_rtx_never_takes_the_payload_type_of_a_publication() -> None:
    """webrtcbin offers RTX for Opus, possibly with the payload type of VP8 in the next section."""
    text = FFMPEG.replace("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 111 106")
    text = text.replace(
        "a=rtpmap:111 opus/48000/2\r\n",
        "a=rtpmap:111 OPUS/48000/2\r\na=rtpmap:106 rtx/48000\r\na=fmtp:106 apt=111\r\n",
    )
    result = negotiated(text, *REQUESTS)
    assert [p.payload_types for p in result.media.publications] == [(111,), (106,)]
    assert "a=rtpmap:106 rtx" not in answer(result)
    # The same between video sections.
    text = two_cameras(ssrcs=True)
    at = text.index("m=video")
    second = text.rindex("m=video")
    front = text[at:second].replace("SAVPF 106", "SAVPF 106 108")
    front = front.replace(
        "a=rtpmap:106 H264/90000\r\n",
        "a=rtpmap:106 H264/90000\r\na=rtpmap:108 rtx/90000\r\na=fmtp:108 apt=106\r\n",
    )
    behind = text[second:].replace("106", "108")
    result = negotiated(text[:at] + front + behind, *REQUESTS, PublicationRequest("2", Source.SCREEN))
    assert [p.payload_types for p in result.media.publications] == [(111,), (106,), (108,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "UDP/TLS/RTP/SAVPF"),
        (("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/24000/2"), "codecs"),
    ],
)
def test_a_refused_publication_is_always_an_error(
    change: tuple[str, str], words: str, read_offer: OfferReader
) -> None:
    parts = read_offer("chromium_join").split("m=")
    parts[1] = parts[1].replace(*change)
    with pytest.raises(RpcError, match=words) as refusal:
        negotiated("m=".join(parts), *REQUESTS)
    assert refusal.value.details["mid"] == "0"


@pytest.mark.parametrize("direction", ["inactive", "recvonly", None])
def test_silent_publications_are_passed_to_the_room(direction: str | None, read_offer: OfferReader) -> None:
    parts = read_offer("chromium_join").split("m=")
    if direction is None:
        parts[1] = parts[1].replace("audio 9 ", "audio 0 ")
        parts[0] = parts[0].replace("BUNDLE 0 1 ", "BUNDLE 1 0 ")
    else:
        parts[1] = parts[1].replace("a=sendonly", f"a={direction}")
    assert negotiated("m=".join(parts), *REQUESTS).media.silent == ("0",)


def test_sections_without_media_have_a_reason(read_offer: OfferReader) -> None:
    text = read_offer("chromium_data")
    parts = text.split("m=")
    data = next(part for part in parts if part.startswith("application"))
    mid = re.search(r"a=mid:(\S+)", data)
    assert mid is not None
    parts.append(data.replace(f"a=mid:{mid[1]}\r", "a=mid:second\r"))
    parts[0] = parts[0].replace("a=group:BUNDLE", "a=group:BUNDLE second")
    parts[0] = parts[0].replace("a=group:BUNDLE second 0", "a=group:BUNDLE 0 second")
    parts[3] = parts[3].replace("opus/48000", "G722/8000")
    result = negotiated("m=".join(parts), REQUESTS[1])
    unused = {plan.section.mid: plan.unused for plan in result.plans if plan.unused}
    assert set(unused) == {"0", parts[3].split("a=mid:")[1].split("\r")[0], "second"}
    assert "no publication names the section" in unused["0"]
    assert "one section for data channels" in unused["second"]
    assert "codecs" in unused[parts[3].split("a=mid:")[1].split("\r")[0]]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("browser", BROWSERS)
def test_sections_that_browsers_offer_are_used(browser: str, case: str, read_offer: OfferReader) -> None:
    offer = parse_offer(read_offer(f"{browser}_{case}"))
    sources = {"audio": Source.MICROPHONE, "video": Source.CAMERA}
    sending = [
        PublicationRequest(section.mid, sources[section.kind])
        for section in offer.sections
        if section.direction == "sendonly" and not section.stopped
    ]
    result = negotiate(offer, sending)
    assert {plan.section.mid: plan.unused for plan in result.plans if plan.unused} == {}
    assert len(result.media.publications) == len(sending)
    assert sending or case == "stopped"
    assert result.media.silent == ()


@pytest.mark.parametrize(
    ("setup", "dtls_client", "answered"),
    [("actpass", False, "passive"), ("active", False, "passive"), ("passive", True, "active")],
)
def test_the_answer_has_the_other_dtls_role(setup: str, dtls_client: bool, answered: str) -> None:
    result = negotiated(MINIMAL.replace("a=setup:actpass", f"a=setup:{setup}"))
    assert result.media.transport.setup is Setup(setup)
    transport = replace(TRANSPORT, dtls_client=dtls_client)
    text = build_answer(result, transport, {}, session_id=1, session_version=1)
    assert f"a=setup:{answered}\r\n" in text


# The WHIP offer of FFmpeg 8: DTLS server, no header extensions.
FFMPEG = "\r\n".join(
    [
        "v=0",
        "o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1",
        "s=FFmpegPublishSession",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
        *(
            line
            for mid, kind, number, codec, ssrc in (
                ("0", "audio", 111, "opus/48000/2", 1000),
                ("1", "video", 106, "H264/90000", 2000),
            )
            for line in (
                f"m={kind} 9 UDP/TLS/RTP/SAVPF {number}",
                "c=IN IP4 0.0.0.0",
                "a=ice-ufrag:00000001",
                "a=ice-pwd:00000000000000000000000000000001",
                "a=fingerprint:sha-256 " + ":".join(["0F"] * 32),
                "a=setup:passive",
                f"a=mid:{mid}",
                "a=sendonly",
                f"a=msid:FFmpeg {kind}",
                "a=rtcp-mux",
                f"a=rtpmap:{number} {codec}",
                f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
                if kind == "video"
                else f"a=fmtp:{number} minptime=10;useinbandfec=1",
                f"a=ssrc:{ssrc} cname:FFmpeg",
                f"a=ssrc:{ssrc} msid:FFmpeg {kind}",
            )
        ),
        "",
    ]
)


def test_ffmpeg_is_the_dtls_server() -> None:
    result = negotiated(FFMPEG, *REQUESTS)
    assert [(p.codec, p.ssrcs) for p in result.media.publications] == [
        (Codec.OPUS, (1000,)),
        (Codec.H264, (2000,)),
    ]
    assert result.media.transport.setup is Setup.PASSIVE
    text = build_answer(result, replace(TRANSPORT, dtls_client=True), {}, session_id=1, session_version=1)
    assert text.count("a=setup:active\r\n") == 2
    assert text.count("a=recvonly\r\n") == 2


def test_unique_payload_types_identify_packets_without_mid_and_ssrc() -> None:
    """RFC 9143 section 9.2."""
    text = re.sub(r"a=ssrc:[^\r]*\r\n", "", FFMPEG)
    result = negotiated(text, *REQUESTS)
    assert [p.payload_types for p in result.media.publications] == [(111,), (106,)]
    assert [p.ssrcs for p in result.media.publications] == [(), ()]


def two_cameras(*, ssrcs: bool, extension: str = "") -> str:
    text = FFMPEG if ssrcs else re.sub(r"a=ssrc:[^\r]*\r\n", "", FFMPEG)
    video = text[text.index("m=video") :]
    second = video.replace("a=mid:1\r", "a=mid:2\r").replace("a=ssrc:2000", "a=ssrc:3000")
    text = (text + second).replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    return text.replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\n{extension}") if extension else text


def test_ambiguous_packets_are_refused_with_a_reason() -> None:
    requests = (*REQUESTS, PublicationRequest("2", Source.SCREEN))
    with pytest.raises(RpcError, match="cannot be distinguished from those of another") as refusal:
        negotiated(two_cameras(ssrcs=False), *requests)
    assert refusal.value.name == "INVALID_SDP"
    assert refusal.value.details == {"mid": "1", "payload_type": "106"}
    assert len(negotiated(two_cameras(ssrcs=True), *requests).media.publications) == 3
    mid = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    assert len(negotiated(two_cameras(ssrcs=False, extension=mid), *requests).media.publications) == 3
    unlisted = negotiated(two_cameras(ssrcs=False), *REQUESTS)
    assert len(unlisted.media.publications) == 2, "nothing else is published with that payload type"
    only_received = mid.replace("a=extmap:1 ", "a=extmap:1/recvonly ")
    with pytest.raises(RpcError, match="cannot be distinguished"):
        negotiated(two_cameras(ssrcs=False, extension=only_received), *requests)


def test_a_publication_without_a_supported_codec_is_refused(read_offer: OfferReader) -> None:
    text = re.sub("(VP8|VP9|H264|AV1)/", "H263/", read_offer("chromium_join"))
    with pytest.raises(RpcError) as refusal:
        negotiated(text, *REQUESTS)
    assert refusal.value.name == "UNSUPPORTED_CODEC"


async def test_aiortc_accepts_the_answers_to_its_offers() -> None:
    """An independent implementation joins, offers more slots and stops its camera."""
    peer = RTCPeerConnection()
    try:
        peer.addTransceiver(AudioStreamTrack(), direction="sendonly")
        camera = peer.addTransceiver(VideoStreamTrack(), direction="sendonly")
        for kind in ("audio", "video", "audio"):
            peer.addTransceiver(kind, direction="recvonly")
        result = await exchange(peer, [Source.MICROPHONE, Source.CAMERA])
        assert [p.ssrcs[0] for p in result.media.publications]
        assert len(result.media.publications[1].rtx_ssrcs) == 1
        assert [slot.kind for slot in result.media.slots] == [Kind.AUDIO, Kind.VIDEO, Kind.AUDIO]
        directions = [t.currentDirection for t in peer.getTransceivers()]
        assert directions == ["sendonly"] * 2 + ["recvonly"] * 3
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")
        camera.direction = "inactive"
        result = await exchange(peer, [Source.MICROPHONE])
        assert len(result.media.slots) == 5
        directions = [t.currentDirection for t in peer.getTransceivers()]
        assert directions == ["sendonly", "inactive"] + ["recvonly"] * 5
    finally:
        await peer.close()


async def exchange(peer: RTCPeerConnection, sources: list[Source]) -> Negotiated:
    await peer.setLocalDescription(await peer.createOffer())
    mids = [str(t.mid) for t in peer.getTransceivers() if t.direction == "sendonly"]
    requests = [PublicationRequest(mid, source) for mid, source in zip(mids, sources, strict=True)]
    result = negotiated(peer.localDescription.sdp, *requests)
    await peer.setRemoteDescription(RTCSessionDescription(answer(result), "answer"))
    return result
