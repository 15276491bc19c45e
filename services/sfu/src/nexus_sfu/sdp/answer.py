"""Writes the answer: ICE-lite, one DTLS association, one transport, and the offer's payload types and
extension ids (JSEP section 5.3).

ICE and DTLS lines and candidates are in every section, although bundled ones may omit them (RFC 9143 section
7.1.3): aiortc reads them from the last section, other parsers from the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nexus_sfu.core.model import Codec, IceCredentials, Slot
from nexus_sfu.sdp.codec_policy import Accepted
from nexus_sfu.sdp.negotiate import Negotiated, Plan, Role
from nexus_sfu.sdp.offer import ExtMap, RtpCodec
from nexus_sfu.sdp.simulcast import answered_parameters

# The address that means "none" in SDP (RFC 8840 section 4.1.3); nothing is bound to it.
NO_ADDRESS = "0.0.0.0"  # noqa: S104

# The engine's SCTP port, and the maximum size of a message that it accepts.
SCTP_PORT = 5_000
MAX_MESSAGE_SIZE = 256 * 1024

_MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly"}
# Opus parameters (RFC 7587 section 6.1) that are answered as offered; FEC is always requested.
_OPUS_MIRRORED = ("stereo", "sprop-stereo", "usedtx", "maxaveragebitrate", "cbr")


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A host candidate (RFC 8839 section 5.1); over TCP a passive one (RFC 6544 section 4.5)."""

    foundation: str
    priority: int
    ip: str
    port: int
    tcp: bool = False


@dataclass(frozen=True, slots=True)
class AnswerTransport:
    ice: IceCredentials
    candidates: tuple[CandidateLine, ...]
    # SHA-256, "AA:BB:…"
    fingerprint: str
    dtls_client: bool = False


def build_answer(
    negotiated: Negotiated,
    transport: AnswerTransport,
    slots: Mapping[str, Slot],
    *,
    session_id: int,
    session_version: int,
) -> str:
    """The text of the answer. `slots` are the room's slots by mid; a receiving section without a slot is
    inactive."""
    lines = list(_session(negotiated, session_id, session_version))
    shared = list(_transport(transport))
    for plan in negotiated.plans:
        if plan.role is Role.REJECTED:
            lines += _rejected(plan)
            continue
        lines += _media_line(plan, transport)
        lines += shared
        if plan.role is Role.DATA:
            lines += _data(plan)
            continue
        lines += _section(plan, slots.get(plan.section.mid))
    lines.append("")
    return "\r\n".join(lines)


def _session(negotiated: Negotiated, session_id: int, version: int) -> Iterator[str]:
    mids = " ".join(plan.section.mid for plan in negotiated.plans if plan.role is not Role.REJECTED)
    yield "v=0"
    yield f"o=- {session_id} {version} IN IP4 127.0.0.1"
    yield "s=-"
    yield "t=0 0"
    yield "a=ice-lite"
    yield f"a=group:BUNDLE {mids}"
    if negotiated.offer.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield "a=msid-semantic: WMS *"


def _rejected(plan: Plan) -> Iterator[str]:
    section = plan.section
    yield f"m={section.kind} 0 {section.protocol} {section.formats or '0'}"
    yield f"c=IN IP4 {NO_ADDRESS}"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield "a=inactive"


def _data(plan: Plan) -> Iterator[str]:
    """RFC 8841 section 10.3."""
    yield f"a=mid:{plan.section.mid}"
    yield f"a=sctp-port:{SCTP_PORT}"
    yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"


def _media_line(plan: Plan, transport: AnswerTransport) -> Iterator[str]:
    payload_types = (
        plan.section.formats
        if plan.role is Role.DATA
        else " ".join(str(codec.payload_type) for codec in _payload_types(plan))
    )
    # The default destination (RFC 8839 section 4.2.1.2), for peers that ignore candidates: IPv4 if available.
    default = min(transport.candidates, key=lambda candidate: ":" in candidate.ip, default=None)
    port, ip = (default.port, default.ip) if default else (9, NO_ADDRESS)
    yield f"m={plan.section.kind} {port} {plan.section.protocol} {payload_types}"
    yield f"c=IN IP{6 if ':' in ip else 4} {ip}"


def _payload_types(plan: Plan) -> Iterator[RtpCodec]:
    for accepted in plan.codecs:
        # libwebrtc sends redundant audio only if it precedes its codec.
        if accepted.red is not None and plan.role is Role.PUBLICATION:
            yield accepted.red
        yield accepted.rtp
        if accepted.rtx is not None:
            yield accepted.rtx
        if accepted.red is not None and plan.role is not Role.PUBLICATION:
            yield accepted.red


def _transport(transport: AnswerTransport) -> Iterator[str]:
    yield f"a=ice-ufrag:{transport.ice.ufrag}"
    yield f"a=ice-pwd:{transport.ice.pwd}"
    yield f"a=fingerprint:sha-256 {transport.fingerprint}"
    # RFC 8842 section 5.3: the active side is the DTLS client.
    yield f"a=setup:{'active' if transport.dtls_client else 'passive'}"
    for c in transport.candidates:
        protocol, kind = ("tcp", "host tcptype passive") if c.tcp else ("udp", "host")
        yield f"a=candidate:{c.foundation} 1 {protocol} {c.priority} {c.ip} {c.port} typ {kind}"
    yield "a=end-of-candidates"


def _section(plan: Plan, slot: Slot | None) -> Iterator[str]:
    section = plan.section
    yield f"a=mid:{section.mid}"
    for extension in plan.extensions:
        yield _extmap(extension)
    if plan.role is Role.PUBLICATION:
        yield "a=recvonly"
    elif plan.role is Role.SLOT and slot is not None:
        yield "a=sendonly"
        yield f"a=msid:{slot.stream} {slot.stream}-{section.kind}"
    else:
        yield "a=inactive"
    yield "a=rtcp-mux"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    for accepted in plan.codecs:
        yield from _codec(accepted)
    if plan.role is Role.SLOT and slot is not None:
        yield from _sources(slot)
    yield from _simulcast(plan)


def _simulcast(plan: Plan) -> Iterator[str]:
    """The simulcast lines (RFC 8851 section 6.2.2, RFC 8853 section 5.3.2): the SFU receives the streams that
    the client sends, in the offer's order."""
    if not plan.encodings:
        return
    payload_type = plan.codecs[0].rtp.payload_type
    for encoding in plan.encodings:
        parameters = answered_parameters(encoding.rid, payload_type)
        yield f"a=rid:{encoding.rid.id} recv{' ' + parameters if parameters else ''}"
    streams = ";".join(f"{'~' if e.paused else ''}{e.rid.id}" for e in plan.encodings)
    yield f"a=simulcast:recv {streams}"


def _extmap(extension: ExtMap) -> str:
    direction = _MIRRORED.get(extension.direction, "")
    return f"a=extmap:{extension.id}{'/' + direction if direction else ''} {extension.uri}"


def _codec(accepted: Accepted) -> Iterator[str]:
    rtp, rtx = accepted.rtp, accepted.rtx
    channels = f"/{rtp.channels}" if accepted.codec is Codec.OPUS else ""
    # Spelled as in the RFC of the payload format.
    name = "opus" if accepted.codec is Codec.OPUS else accepted.codec.name
    yield f"a=rtpmap:{rtp.payload_type} {name}/{rtp.clock_rate}{channels}"
    for feedback in accepted.feedback:
        yield f"a=rtcp-fb:{rtp.payload_type} {feedback}"
    fmtp = _opus_fmtp(rtp) if accepted.codec is Codec.OPUS else rtp.fmtp
    if fmtp:
        yield f"a=fmtp:{rtp.payload_type} {fmtp}"
    if accepted.red is not None:
        red = accepted.red.payload_type
        yield f"a=rtpmap:{red} red/{rtp.clock_rate}{channels}"
        yield f"a=fmtp:{red} {accepted.red.fmtp}"
    if rtx is not None:
        yield f"a=rtpmap:{rtx.payload_type} rtx/{rtx.clock_rate}"
        yield f"a=fmtp:{rtx.payload_type} apt={rtp.payload_type}"


def _opus_fmtp(rtp: RtpCodec) -> str:
    offered = [(name, rtp.parameter(name)) for name in _OPUS_MIRRORED]
    mirrored = [f"{name}={value}" for name, value in offered if value]
    return ";".join(["minptime=10", "useinbandfec=1", *mirrored])


def _sources(slot: Slot) -> Iterator[str]:
    """The slot's SSRCs (RFC 5576), announced before any track is bound, so that receivers need not wait for a
    MID."""
    ssrcs = [slot.ssrc]
    if slot.rtx_ssrc is not None:
        ssrcs.append(slot.rtx_ssrc)
        yield f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}"
    for ssrc in ssrcs:
        yield f"a=ssrc:{ssrc} cname:{slot.stream}"
