"""Writes and reads the session descriptions of the load. Pure functions, tested without a server.

A publisher's offer resembles a browser's. An answer accepts what the generator supports: Opus, VP8 with RTX,
and the extensions that it reads. It rejects everything else as a browser would (RFC 9429 section 5.3).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import sdp_transform

# Payload types and extensions that browsers negotiate, with the same numbers for every server.
AUDIO_PT, VIDEO_PT, RTX_PT = 111, 96, 97
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
EXTENSIONS = {
    1: AUDIO_LEVEL,
    2: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    3: TRANSPORT_CC,
    4: "urn:ietf:params:rtp-hdrext:sdes:mid",
    10: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    11: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
}
VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
AUDIO_MID, VIDEO_MID = "0", "1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One peer connection of the generator, with the ICE and DTLS parameters of its descriptions."""

    peer: int
    ufrag: str
    pwd: str
    fingerprint: str
    address: str  # host:port


@dataclass(frozen=True, slots=True)
class Published:
    """The streams of one participant. `encodings` are (rid, SSRC, RTX SSRC), from low to high; with a single
    one there is no simulcast."""

    audio_ssrc: int | None
    encodings: Sequence[tuple[str, int, int]] = ()

    @property
    def mids(self) -> list[str]:
        return [
            *([AUDIO_MID] if self.audio_ssrc is not None else []),
            *([VIDEO_MID] if self.encodings else []),
        ]


@dataclass(frozen=True, slots=True)
class Section:
    """A media section of the peer's description, as far as the generator needs it."""

    kind: str
    mid: str
    direction: str
    extensions: dict[str, int]
    payload_types: dict[str, int]  # codec in lower case → payload type
    rtx: dict[int, int]  # payload type of media → that of its RTX
    ssrc: int = 0
    rtx_ssrc: int = 0

    @property
    def is_data(self) -> bool:
        return self.kind == "application"


@dataclass(frozen=True, slots=True)
class Description:
    ufrag: str
    pwd: str
    fingerprint: str
    hash: str
    setup: str
    candidates: tuple[str, ...]
    sections: tuple[Section, ...] = field(default=())

    def received(self) -> list[Section]:
        """The sections on which the peer sends a stream whose SSRC it names."""
        return [s for s in self.sections if s.ssrc and s.direction in ("sendonly", "sendrecv")]

    def with_candidates(self, candidates: Iterable[str]) -> "Description":
        """A copy with the candidates that came later (trickle ICE, RFC 8838)."""
        return replace(self, candidates=tuple(sorted(candidates)))

    @property
    def transport(self) -> str:
        """The parameters of the generator's `connect` line."""
        candidates = " ".join(f"candidate={c}" for c in self.candidates)
        return (
            f"ufrag={self.ufrag} pwd={self.pwd} hash={self.hash} fingerprint={self.fingerprint} {candidates}"
        )


def read(sdp: str) -> Description:
    """Reads a description. Only IPv4 host candidates over UDP count. Raises ValueError if it lacks ICE or
    DTLS parameters."""
    parsed = sdp_transform.parse(sdp)

    def first(pattern: str) -> str:
        # Not with the parser, which converts a ufrag of digits to a number.
        found = re.search(rf"^a={pattern}", sdp, re.MULTILINE)
        if found is None:
            raise ValueError(f"a description without {pattern}")
        return found[1]

    candidates = {
        f"{c['ip']}:{c['port']}"
        for place in parsed["media"]
        for c in place.get("candidates", [])
        if c["component"] == 1
        and str(c["protocol"]).lower() == "udp"
        and c["type"] == "host"
        and ":" not in c["ip"]
    }
    return Description(
        ufrag=first(r"ice-ufrag:(\S+)"),
        pwd=first(r"ice-pwd:(\S+)"),
        fingerprint=first(r"fingerprint:\S+ (\S+)"),
        hash=first(r"fingerprint:(\S+) "),
        setup=first(r"setup:(\S+)"),
        candidates=tuple(sorted(candidates)),
        sections=tuple(_read_section(media) for media in parsed["media"]),
    )


def _read_section(media: dict[str, object]) -> Section:
    def entries(key: str) -> list[dict[str, object]]:
        found = media.get(key, [])
        assert isinstance(found, list)
        return found

    kinds = {str(entry["codec"]).lower(): int(str(entry["payload"])) for entry in reversed(entries("rtp"))}
    rtx = {}
    for entry in entries("fmtp"):
        for word in str(entry["config"]).split(";"):
            if word.strip().startswith("apt="):
                rtx[int(word.strip()[4:])] = int(str(entry["payload"]))
    ssrc, rtx_ssrc = 0, 0
    if ssrcs := entries("ssrcs"):
        ssrc = int(str(ssrcs[0]["id"]))
    for group in entries("ssrcGroups"):
        if group["semantics"] == "FID":
            ssrc, rtx_ssrc = (int(part) for part in str(group["ssrcs"]).split()[:2])
    return Section(
        kind=str(media["type"]),
        mid=str(media.get("mid", "")),
        direction=str(media.get("direction", "sendrecv")) if media.get("port", 9) != 0 else "inactive",
        extensions={str(entry["uri"]): int(str(entry["value"])) for entry in entries("ext")},
        payload_types=kinds,
        rtx=rtx,
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
    )


def publisher_offer(
    endpoint: Endpoint, published: Published, *, setup: str = "actpass", slots: Sequence[tuple[str, str]] = ()
) -> str:
    """The offer of a publisher: its publications, followed by the sections for receiving (kind, mid).

    `setup` must be `active` for servers that would choose the active role themselves (RFC 8842 section 5.2),
    because the generator is always the DTLS client.
    """
    lines = _head([*published.mids, *(mid for _, mid in slots)])
    if published.audio_ssrc is not None:
        lines += _own_section("audio", AUDIO_MID, endpoint, setup, "sendonly")
        lines += ["a=msid:s a", f"a=ssrc:{published.audio_ssrc} cname:load"]
    if published.encodings:
        lines += _own_section("video", VIDEO_MID, endpoint, setup, "sendonly")
        lines += ["a=msid:s v", *_encodings(published.encodings)]
    for kind, mid in slots:
        lines += _own_section(kind, mid, endpoint, setup, "recvonly")
    return "\r\n".join(lines) + "\r\n"


def _head(mids: Sequence[str]) -> list[str]:
    group = "a=group:BUNDLE " + " ".join(mids)
    return ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", group, "a=extmap-allow-mixed"]


def _encodings(encodings: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    if len(encodings) > 1:
        yield from (f"a=rid:{rid} send" for rid, *_ in encodings)
        yield "a=simulcast:send " + ";".join(rid for rid, *_ in encodings)
        return
    _, ssrc, rtx = encodings[0]
    yield f"a=ssrc-group:FID {ssrc} {rtx}"
    yield f"a=ssrc:{ssrc} cname:load"
    yield f"a=ssrc:{rtx} cname:load"


def _transport(kind: str, mid: str, types: str, endpoint: Endpoint, setup: str, direction: str) -> list[str]:
    host, _, port = endpoint.address.rpartition(":")
    protocol = "UDP/DTLS/SCTP" if kind == "application" else "UDP/TLS/RTP/SAVPF"
    return [
        f"m={kind} 9 {protocol} {types}",
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{endpoint.ufrag}",
        f"a=ice-pwd:{endpoint.pwd}",
        f"a=fingerprint:sha-256 {endpoint.fingerprint}",
        f"a=setup:{setup}",
        f"a=mid:{mid}",
        f"a={direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
    ]


def _own_section(kind: str, mid: str, endpoint: Endpoint, setup: str, direction: str) -> list[str]:
    types = f"{AUDIO_PT}" if kind == "audio" else f"{VIDEO_PT} {RTX_PT}"
    lines = _transport(kind, mid, types, endpoint, setup, direction)
    for number, uri in EXTENSIONS.items():
        if ("stream-id" if kind == "audio" else "audio-level") in uri:
            continue
        lines.append(f"a=extmap:{number} {uri}")
    codecs = {"opus": AUDIO_PT} if kind == "audio" else {"vp8": VIDEO_PT}
    return [*lines, *_codecs(kind, codecs, RTX_PT)]


def _codecs(kind: str, payload_types: dict[str, int], rtx: int | None) -> list[str]:
    if kind == "audio":
        number = payload_types["opus"]
        return [f"a=rtpmap:{number} opus/48000/2", f"a=rtcp-fb:{number} transport-cc"]
    number = payload_types["vp8"]
    lines = [f"a=rtpmap:{number} VP8/90000", *(f"a=rtcp-fb:{number} {name}" for name in VIDEO_FEEDBACK)]
    if rtx is not None:
        lines += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={number}"]
    return lines


def answer(offer: Description, endpoint: Endpoint) -> str:
    """The answer to a server's offer, as DTLS client. It rejects sections that the generator does not
    support."""
    lines = _head([section.mid for section in offer.sections if _codec_of(section) or section.is_data])
    for section in offer.sections:
        if section.is_data:
            # Accepted although the generator has no SCTP: some servers offer data before any media, and DTLS
            # needs one section.
            lines += _transport(
                section.kind, section.mid, "webrtc-datachannel", endpoint, "active", "sendrecv"
            )
            lines.append("a=sctp-port:5000")
            continue
        codec = _codec_of(section)
        if codec is None:
            lines += [f"m={section.kind} 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", f"a=mid:{section.mid}"]
            continue
        number = section.payload_types[codec]
        rtx = section.rtx.get(number)
        types = f"{number} {rtx}" if rtx is not None else f"{number}"
        direction = "recvonly" if section.direction in ("sendonly", "sendrecv") else "inactive"
        lines += _transport(section.kind, section.mid, types, endpoint, "active", direction)
        known = set(EXTENSIONS.values())
        lines += [f"a=extmap:{number} {uri}" for uri, number in section.extensions.items() if uri in known]
        lines += _codecs(section.kind, {codec: number}, rtx)
    return "\r\n".join(lines) + "\r\n"


def _codec_of(section: Section) -> str | None:
    wanted = {"audio": "opus", "video": "vp8"}.get(section.kind)
    return wanted if wanted in section.payload_types else None


def media_lines(offer: Description) -> list[str]:
    """The generator's `codec` and `extension` lines for a peer whose server chose payload types and ids."""
    lines = ["forget"]
    seen: set[str] = set()
    for section in offer.sections:
        codec = _codec_of(section)
        if codec is None or codec in seen:
            continue
        seen.add(codec)
        number = section.payload_types[codec]
        rtx = f" rtx={section.rtx[number]}" if number in section.rtx else ""
        name, clock = ("opus", 48_000) if codec == "opus" else ("VP8", 90_000)
        lines.append(f"codec name={name} pt={number} clock={clock}{rtx}")
    extensions = {uri: number for section in offer.sections for uri, number in section.extensions.items()}
    lines += [f"extension uri={uri} id={number}" for uri, number in extensions.items()]
    return lines


def own_media_lines() -> list[str]:
    """The same for a peer whose own offer chose them: those of this module."""
    lines = ["forget", f"codec name=opus pt={AUDIO_PT} clock=48000"]
    lines.append(f"codec name=VP8 pt={VIDEO_PT} clock=90000 rtx={RTX_PT}")
    return [*lines, *(f"extension uri={uri} id={number}" for number, uri in EXTENSIONS.items())]
