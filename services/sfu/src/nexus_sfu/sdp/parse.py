"""Parses the text of an offer into `Offer`. Hostile text raises only RpcError INVALID_SDP.

A section has two sorts of lines: identification (mid, ICE, DTLS, SSRCs), which are few and differ between
sections, and capabilities (codecs, feedback, extensions), which are many and equal in all sections of a kind.
The parsed capabilities are cached by their text, across sections and clients.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from nexus_sfu import errors
from nexus_sfu.core.model import IceCredentials
from nexus_sfu.sdp import lines
from nexus_sfu.sdp.offer import Capabilities, ExtMap, Offer, Rid, RtpCodec, Section
from nexus_sfu.sdp.validate import DEFAULT_BOUNDS, Bounds, check_offer

MAX_U32 = 2**32 - 1
# Maximum of a=max-message-size; Chromium offers 262,144, Firefox 1,073,741,823.
MAX_MESSAGE_SIZE = 2**53 - 1
# Maximum number of cached capability blocks: a browser version has about four, of about 3 kB each.
CACHED_BLOCKS = 512
MAX_BLOCK_LINES = 1_000

_CAPABILITY_ATTRIBUTES = frozenset(("rtpmap", "fmtp", "rtcp-fb", "extmap", "rid", "simulcast"))
_DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))


@dataclass(slots=True)
class _Draft:
    """A section, or the session level, while its lines are read."""

    media: tuple[str, str, str, str] = ("", "", "", "")
    capability_lines: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    direction: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    ssrcs: dict[int, None] = field(default_factory=dict)
    fid: list[tuple[int, int]] = field(default_factory=list)
    sim: list[tuple[int, ...]] = field(default_factory=list)
    groups: list[tuple[str, str]] = field(default_factory=list)


def parse_offer(sdp: str, bounds: Bounds = DEFAULT_BOUNDS) -> Offer:
    """Raises RpcError INVALID_SDP."""
    # A cheap check: a character has at least one byte.
    if len(sdp) > bounds.sdp_bytes:
        raise errors.invalid_sdp("the description is too large", limit=bounds.sdp_bytes)
    session, drafts = _read(sdp, bounds)
    offer = Offer(
        sections=tuple(_section(draft, session) for draft in drafts),
        bundle=_bundle(session),
        extmap_allow_mixed="extmap-allow-mixed" in session.values
        or any("extmap-allow-mixed" in draft.values for draft in drafts),
    )
    check_offer(offer, ice_lite="ice-lite" in session.values)
    return offer


def _read(sdp: str, bounds: Bounds) -> tuple[_Draft, list[_Draft]]:
    session = _Draft()
    drafts: list[_Draft] = []
    current = session
    for kind, content in lines.split(sdp):
        if kind == "m":
            if len(drafts) == bounds.sections:
                raise errors.invalid_sdp("too many media sections", limit=bounds.sections)
            current = _Draft(media=lines.read_media(content))
            drafts.append(current)
        elif kind == "a":
            _read_attribute(current, content)
    return session, drafts


def _read_attribute(draft: _Draft, content: str) -> None:
    name, _, value = content.partition(":")
    if name in _CAPABILITY_ATTRIBUTES:
        if len(draft.capability_lines) == MAX_BLOCK_LINES:
            raise errors.invalid_sdp("too many lines in a media section", limit=MAX_BLOCK_LINES)
        draft.capability_lines.append(content)
    elif name in _DIRECTIONS:
        draft.direction = name
    elif name == "ssrc":
        draft.ssrcs[_ssrc(lines.SSRC.read(content)[0])] = None
    elif name == "ssrc-group":
        semantics, ssrcs = lines.SSRC_GROUP.read(content)
        if semantics == "FID":
            draft.fid.append(_pair(ssrcs))
        elif semantics == "SIM":
            draft.sim.append(tuple(_ssrc(text) for text in ssrcs.split()))
    elif name == "fingerprint":
        hash_name, digest = lines.FINGERPRINT.read(content)
        draft.fingerprints.append((hash_name.lower(), digest.upper()))
    elif name == "group":
        semantics, mids = lines.GROUP.read(content)
        draft.groups.append((semantics, mids))
    else:
        draft.values.setdefault(name, value.strip())


def _ssrc(text: str) -> int:
    return lines.number(text, MAX_U32, "an SSRC")


def _pair(text: str) -> tuple[int, int]:
    parts = text.split()
    if len(parts) != 2:
        raise errors.invalid_sdp("a=ssrc-group:FID must have two SSRCs")
    return _ssrc(parts[0]), _ssrc(parts[1])


def _bundle(session: _Draft) -> tuple[str, ...]:
    groups = [tuple(mids.split()) for semantics, mids in session.groups if semantics == "BUNDLE"]
    if len(groups) != 1 or not groups[0]:
        raise errors.invalid_sdp("the offer must have one BUNDLE group with all its media sections")
    return groups[0]


def _section(draft: _Draft, session: _Draft) -> Section:
    kind, port, protocol, formats = draft.media
    rtx = {repair for _, repair in draft.fid}
    return Section(
        mid=draft.values.get("mid", ""),
        kind=kind,
        port=lines.number(port, 65_535, "a port"),
        protocol=protocol,
        formats=formats,
        direction=draft.direction or session.direction or "sendrecv",
        capabilities=_capabilities("\n".join(draft.capability_lines)),
        ssrcs=tuple(ssrc for ssrc in draft.ssrcs if ssrc not in rtx),
        fid=tuple(draft.fid),
        sim=tuple(draft.sim),
        msid=draft.values.get("msid", ""),
        ice=_ice(draft) or _ice(session),
        fingerprints=tuple(draft.fingerprints or session.fingerprints),
        setup=draft.values.get("setup", "") or session.values.get("setup", ""),
        rtcp_mux="rtcp-mux" in draft.values,
        rtcp_rsize="rtcp-rsize" in draft.values,
        bundle_only="bundle-only" in draft.values,
        sctp_port=_sctp_port(draft),
        max_message_size=lines.number(
            draft.values.get("max-message-size", "65536"), MAX_MESSAGE_SIZE, "a message size"
        ),
    )


def _sctp_port(draft: _Draft) -> int:
    port = draft.values.get("sctp-port")
    return -1 if port is None else lines.number(port, 65_535, "an SCTP port")


def _ice(draft: _Draft) -> IceCredentials | None:
    ufrag, pwd = draft.values.get("ice-ufrag", ""), draft.values.get("ice-pwd", "")
    return IceCredentials(ufrag, pwd) if ufrag and pwd else None


@lru_cache(maxsize=CACHED_BLOCKS)
def _capabilities(block: str) -> Capabilities:
    rtpmaps: dict[int, tuple[str, int, int]] = {}
    fmtps: dict[int, str] = {}
    feedback: dict[str, list[str]] = {}
    extensions: list[ExtMap] = []
    rids: list[Rid] = []
    simulcast = ""
    for content in block.split("\n") if block else ():
        name = content.partition(":")[0]
        if name == "rtpmap":
            payload_type, encoding, rate, channels = lines.RTPMAP.read(content)
            rtpmaps[_payload_type(payload_type)] = (encoding.lower(), _rate(rate), _channels(channels))
        elif name == "fmtp":
            payload_type, config = lines.FMTP.read(content)
            fmtps[_payload_type(payload_type)] = config
        elif name == "rtcp-fb":
            payload_type, kind, subtype = lines.RTCP_FB.read(content)
            feedback.setdefault(payload_type, []).append(f"{kind} {subtype}".strip())
        elif name == "extmap":
            number, direction, encrypted, uri, _ = lines.EXTMAP.read(content)
            if not encrypted:
                extensions.append(ExtMap(lines.number(number, 4_351, "an extension's id"), direction, uri))
        elif name == "rid":
            rids.append(Rid(*lines.RID.read(content)))
        elif name == "simulcast":
            simulcast = content.partition(":")[2].strip()
    everywhere = feedback.get("*", [])
    codecs = tuple(
        RtpCodec(
            payload_type=payload_type,
            name=encoding,
            clock_rate=rate,
            channels=channels,
            fmtp=fmtps.get(payload_type, ""),
            feedback=tuple(dict.fromkeys(feedback.get(str(payload_type), []) + everywhere)),
        )
        for payload_type, (encoding, rate, channels) in rtpmaps.items()
    )
    return Capabilities(codecs, tuple(extensions), tuple(rids), simulcast)


def _payload_type(text: str) -> int:
    return lines.number(text, 127, "a payload type")


def _rate(text: str) -> int:
    return lines.number(text or "0", MAX_U32, "a clock rate")


def _channels(text: str) -> int:
    # RFC 8866 section 6.6: for audio the number of channels, 1 if absent; other kinds may use it otherwise.
    return lines.number(text, 255, "a channel count") if text else 1
