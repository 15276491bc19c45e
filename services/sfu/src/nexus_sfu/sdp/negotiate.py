"""Decides from an offer and the requested publications what each media section is used for, and summarises it
for the room.

Within a BUNDLE group a payload type or extension id has a single meaning (RFC 9143 section 9.1). If sections
disagree, publications come first, then the order of the offer; other meanings are not accepted.

A publication is accepted or refused with an error, and never answered with a stopped or inactive section.
Every other section without media has a reason, unless the client itself made it inactive.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import islice

from nexus_sfu import errors
from nexus_sfu.core.model import (
    Codec,
    CodecChoice,
    DataOffer,
    Extension,
    Format,
    Kind,
    Layer,
    MediaOffer,
    PublicationOffer,
    Setup,
    SlotOffer,
    Source,
    TransportOffer,
)
from nexus_sfu.sdp.codec_policy import (
    VIDEO_ORDER,
    Accepted,
    extension_of,
    for_publication,
    sends_mid,
    supported,
)
from nexus_sfu.sdp.offer import ExtMap, Offer, RtpCodec, Section
from nexus_sfu.sdp.simulcast import Encoding, choose, is_scalable
from nexus_sfu.sdp.validate import HASHES


@dataclass(frozen=True, slots=True)
class PublicationRequest:
    mid: str
    source: Source
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    preferred: Codec | None = None
    # Low to high.
    layers: tuple[Layer, ...] = ()
    scalability_mode: str = ""


class Role(Enum):
    SLOT = auto()
    PUBLICATION = auto()
    # Data channels (RFC 8841): one section, with the protocol that browsers use.
    DATA = auto()
    # Accepted without media: an inactive section, or a sending one that no publication names.
    IDLE = auto()
    # Port 0: stopped by the client, or not supported.
    REJECTED = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    section: Section
    role: Role
    codecs: tuple[Accepted, ...] = ()
    extensions: tuple[ExtMap, ...] = ()
    # The encodings of a publication with simulcast by rid, in the offer's order.
    encodings: tuple[Encoding, ...] = ()
    # The layers of a publication, low to high; empty: one encoding without spatial layers.
    layers: tuple[Layer, ...] = ()
    # The reason why there is no media; empty if there is some, or if the client made the section inactive.
    unused: str = ""


@dataclass(frozen=True, slots=True)
class Negotiated:
    offer: Offer
    plans: tuple[Plan, ...]
    media: MediaOffer


def negotiate(
    offer: Offer, requests: Iterable[PublicationRequest], order: Sequence[Codec] = VIDEO_ORDER
) -> Negotiated:
    """Raises RpcError INVALID_SDP, INVALID_ARGUMENT or UNSUPPORTED_CODEC."""
    requested = _by_mid(offer, requests)
    group = _Group(offer.extmap_allow_mixed)
    # A DTLS connection carries a single SCTP association (RFC 8261 section 3).
    data = next((section for section in offer.sections if _is_data(section)), None)
    for section in offer.sections:
        if (request := _publishes(section, requested)) is not None:
            group.reserve(for_publication(_supported(section), request.preferred, order))
    planned: dict[int, Plan] = {}
    for at, section in sorted(
        enumerate(offer.sections), key=lambda place: _publishes(place[1], requested) is None
    ):
        request = requested.get(section.mid)
        planned[at] = Plan(section, Role.DATA) if section is data else _plan(section, request, group, order)
    plans = tuple(plan for _, plan in sorted(planned.items()))
    plans = _agree_on_redundancy(plans)
    _check_identification(plans)
    live = [plan for plan in plans if plan.role is not Role.REJECTED]
    if not live:
        raise errors.invalid_sdp("the offer has no usable audio, video or data section")
    return Negotiated(offer, plans, _media(offer, plans, requested, group))


def _by_mid(offer: Offer, requests: Iterable[PublicationRequest]) -> dict[str, PublicationRequest]:
    sections = {section.mid: section for section in offer.sections}
    requested: dict[str, PublicationRequest] = {}
    for request in requests:
        section = sections.get(request.mid)
        if section is None:
            raise errors.invalid_sdp(
                "a publication names a mid that the offer does not have", mid=request.mid[:64]
            )
        if request.mid in requested:
            raise errors.invalid_argument("two publications name the same mid", mid=request.mid)
        if section.kind != request.source.kind.name.lower():
            raise errors.invalid_argument(
                "the publication's source does not match the kind of its media section",
                mid=request.mid,
                source=request.source.name,
                kind=section.kind[:20],
            )
        requested[request.mid] = request
    return requested


class _Group:
    """The meanings of payload types and extension ids that the BUNDLE group has so far."""

    def __init__(self, two_byte: bool) -> None:
        self.two_byte = two_byte
        # Codecs by payload type, without RTX and RED, which only some of the sections may have.
        self._choices: dict[int, CodecChoice] = {}
        # Payload types of publications, which no other section may use for RTX or RED.
        self._reserved: set[int] = set()
        self.extensions: dict[Extension, int] = {}
        # Payload types of RTX and RED → the one that they repair or repeat; and the inverse maps.
        self._repairs: dict[int, int] = {}
        self._rtx: dict[int, int] = {}
        self._red: dict[int, int] = {}

    @property
    def choices(self) -> tuple[CodecChoice, ...]:
        """The codecs of the group, with the RTX that any of the sections has."""
        return tuple(
            replace(choice, rtx_payload_type=self._rtx.get(o)) for o, choice in self._choices.items()
        )

    def all_rtx(self, codecs: Iterable[Accepted]) -> bool:
        """Whether a section with these codecs accepts all retransmissions that other sections accept."""
        return all(codec.rtx is not None or codec.rtp.payload_type not in self._rtx for codec in codecs)

    def reserve(self, candidates: Sequence[Accepted]) -> None:
        """Reserves the payload type of a publication's first choice."""
        self._reserved.update(candidate.rtp.payload_type for candidate in candidates[:1])

    def take_codec(self, accepted: Accepted) -> Accepted | None:
        """Adds a codec to the group. Returns it, without RTX or RED if those conflict, or None if it
        conflicts itself."""
        own = accepted.rtp.payload_type
        choice = replace(accepted.choice(), rtx_payload_type=None)
        if own in self._repairs or self._choices.get(own, choice) != choice:
            return None
        if not self._take_repair(self._rtx, accepted.rtx, own):
            accepted = replace(accepted, rtx=None)
        if not self._take_repair(self._red, accepted.red, own):
            accepted = replace(accepted, red=None)
        self._choices[own] = choice
        return accepted

    def _take_repair(self, known: dict[int, int], repair: RtpCodec | None, own: int) -> bool:
        if repair is None:
            return False
        number = repair.payload_type
        taken = number == own or number in self._choices or number in self._reserved
        free = not taken and self._repairs.get(number, own) == own
        if not free or known.get(own, number) != number:
            return False
        self._repairs[number] = own
        known[own] = number
        return True

    def take_extension(self, extension: Extension, offered: ExtMap) -> bool:
        if extension not in self.extensions and offered.id in self.extensions.values():
            return False
        return self.extensions.setdefault(extension, offered.id) == offered.id


def _is_data(section: Section) -> bool:
    return (
        section.kind == "application"
        and not section.stopped
        and section.protocol in ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
        and section.formats == "webrtc-datachannel"
        and section.sctp_port > 0
    )


_KINDS = {"audio": Kind.AUDIO, "video": Kind.VIDEO}


def _publishes(section: Section, requested: Mapping[str, PublicationRequest]) -> PublicationRequest | None:
    request = None if section.stopped else requested.get(section.mid)
    return request if _role(section, request) is Role.PUBLICATION else None


def _supported(section: Section) -> list[Accepted]:
    kind = _KINDS.get(section.kind)
    return [] if kind is None else supported(section.capabilities, kind)


def _plan(
    section: Section, request: PublicationRequest | None, group: _Group, order: Sequence[Codec]
) -> Plan:
    kind = _KINDS.get(section.kind)
    if section.stopped:
        return Plan(section, Role.REJECTED)
    role = _role(section, request)
    if kind is None:
        return _rejected(section, role, _NO_DATA if section.kind == "application" else _NO_KIND)
    # JSEP section 5.1.2 accepts every profile that ends so; DTLS-SRTP is required.
    if not section.protocol.endswith("RTP/SAVPF"):
        return _rejected(section, role, "the profile is not UDP/TLS/RTP/SAVPF (RFC 5764)")
    accepted = _supported(section)
    if role is Role.PUBLICATION and request is not None:
        if not accepted:
            raise errors.unsupported_codec(section.mid)
        agreed = map(group.take_codec, for_publication(accepted, request.preferred, order))
        taken = tuple(islice((codec for codec in agreed if codec is not None), 1))
    else:
        taken = tuple(codec for codec in map(group.take_codec, accepted) if codec is not None)
    if not taken:
        return _rejected(section, role, _OTHER_MEANING if accepted else _NO_CODEC)
    extensions: dict[Extension, ExtMap] = {}
    for offered in section.capabilities.extensions:
        extension = extension_of(offered, kind, two_byte=group.two_byte)
        if extension is not None and extension not in extensions and group.take_extension(extension, offered):
            extensions[extension] = offered
    encodings: tuple[Encoding, ...] = ()
    layers: tuple[Layer, ...] = ()
    if role is Role.PUBLICATION and request is not None and kind is Kind.VIDEO:
        encodings, layers = choose(section, taken[0], request.layers, request.scalability_mode)
        if encodings and not {Extension.RTP_STREAM_ID, Extension.MID} <= extensions.keys():
            # RFC 8852 section 3: without them the encodings cannot be distinguished.
            raise errors.invalid_sdp(
                "simulcast by rid requires the extensions mid and rtp-stream-id", mid=section.mid
            )
    unlisted = role is Role.IDLE and section.direction != "inactive"
    return Plan(
        section, role, taken, tuple(extensions.values()), encodings, layers, _UNLISTED if unlisted else ""
    )


_NO_KIND = "only audio, video and data channels are supported"
_NO_DATA = (
    "one section for data channels is supported: UDP/DTLS/SCTP, webrtc-datachannel and a=sctp-port (RFC 8841)"
)
_NO_CODEC = "none of the section's codecs is supported"
_OTHER_MEANING = (
    "its payload types have another meaning in another section of the BUNDLE group (RFC 9143 section 9.1)"
)
_UNLISTED = "no publication names the section, so its media is not received"


def _rejected(section: Section, role: Role, reason: str) -> Plan:
    """The plan of a rejected section. Raises RpcError INVALID_SDP for a publication."""
    if role is Role.PUBLICATION:
        raise errors.invalid_sdp(f"a publication cannot be accepted: {reason}", mid=section.mid)
    return Plan(section, Role.REJECTED, unused="" if section.direction == "inactive" else reason)


def _check_identification(plans: Iterable[Plan]) -> None:
    """Checks that packets can be assigned to their section (RFC 9143 section 9.2): by MID, by a listed SSRC,
    or by a payload type that no other section has. Raises RpcError INVALID_SDP."""
    published = [plan for plan in plans if plan.role is Role.PUBLICATION]
    sections = Counter(plan.codecs[0].rtp.payload_type for plan in published)
    for plan in published:
        by_mid = any(sends_mid(extension) for extension in plan.extensions)
        alone = sections[plan.codecs[0].rtp.payload_type] == 1
        if not (by_mid or plan.section.ssrcs or plan.section.sim or alone):
            raise errors.invalid_sdp(
                "packets of this media section cannot be distinguished from those of another one with the"
                " same payload type: add the MID header extension, a=ssrc, or a unique payload type",
                mid=plan.section.mid,
                payload_type=plan.codecs[0].rtp.payload_type,
            )


def _agree_on_redundancy(plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """Removes redundant audio (RFC 2198) from all sections unless all audio slots of the client accept it,
    because the engine sends the same packets to all of them. Publications need not have it."""
    slots = [c for plan in plans if plan.role is Role.SLOT for c in plan.codecs if c.codec is Codec.OPUS]
    if all(codec.red is not None for codec in slots):
        return plans
    return tuple(replace(plan, codecs=tuple(replace(c, red=None) for c in plan.codecs)) for plan in plans)


def _role(section: Section, request: PublicationRequest | None) -> Role:
    if request is not None and section.direction in ("sendonly", "sendrecv"):
        return Role.PUBLICATION
    return Role.SLOT if section.direction == "recvonly" else Role.IDLE


def _media(
    offer: Offer, plans: Sequence[Plan], requested: dict[str, PublicationRequest], group: _Group
) -> MediaOffer:
    tagged = offer.tagged
    assert tagged.ice is not None  # checked with the offer
    transport = TransportOffer(
        ice=tagged.ice,
        fingerprints=tuple(fp for fp in tagged.fingerprints if fp[0] in HASHES),
        codecs=tuple(_with_redundancy(group.choices, plans)),
        extensions=tuple(group.extensions.items()),
        forward_descriptors=_all_take_descriptors(plans, group),
        reduced_size_rtcp=all(
            p.section.rtcp_rsize for p in plans if p.role not in (Role.REJECTED, Role.DATA)
        ),
        setup=Setup(tagged.setup),
    )
    return MediaOffer(
        transport=transport,
        publications=tuple(
            _publication(plan, requested[plan.section.mid]) for plan in plans if plan.role is Role.PUBLICATION
        ),
        slots=tuple(
            SlotOffer(plan.section.mid, plan.codecs[0].codec.kind, _formats(plan), group.all_rtx(plan.codecs))
            for plan in plans
            if plan.role is Role.SLOT
        ),
        data=next((_data(plan.section) for plan in plans if plan.role is Role.DATA), None),
        silent=tuple(
            plan.section.mid
            for plan in plans
            if plan.section.mid in requested and plan.role is not Role.PUBLICATION
        ),
    )


def _formats(plan: Plan) -> frozenset[Format]:
    return frozenset(codec.choice().format for codec in plan.codecs)


def _all_take_descriptors(plans: Sequence[Plan], group: _Group) -> bool:
    """Any slot may receive any track, so dependency descriptors are sent to all video slots of a client or to
    none. Publications do not count: browsers offer descriptors there because they send layers."""
    slots = [plan for plan in plans if plan.role is Role.SLOT and plan.section.kind == "video"]
    return bool(slots) and all(
        any(
            extension_of(offered, Kind.VIDEO, two_byte=group.two_byte) is Extension.DEPENDENCY_DESCRIPTOR
            and offered.direction in ("", "sendrecv", "recvonly")
            for offered in plan.extensions
        )
        for plan in slots
    )


def _data(section: Section) -> DataOffer:
    return DataOffer(section.mid, section.sctp_port, section.max_message_size)


def _with_redundancy(choices: Iterable[CodecChoice], plans: Sequence[Plan]) -> Iterator[CodecChoice]:
    red = {c.rtp.payload_type: c.red.payload_type for plan in plans for c in plan.codecs if c.red is not None}
    for choice in choices:
        yield replace(choice, red_payload_type=red.get(choice.payload_type))


def _publication(plan: Plan, request: PublicationRequest) -> PublicationOffer:
    ssrcs, rtx_ssrcs = _ssrcs(plan)
    return PublicationOffer(
        mid=request.mid,
        source=request.source,
        format=plan.codecs[0].choice().format,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        ssrcs=ssrcs,
        rtx_ssrcs=rtx_ssrcs,
        payload_types=tuple(
            part.payload_type
            for part in (plan.codecs[0].rtp, plan.codecs[0].rtx, plan.codecs[0].red)
            if part is not None
        ),
        layers=plan.layers,
        scalability_mode=request.scalability_mode if is_scalable(plan.codecs[0].codec) else "",
    )


def _ssrcs(plan: Plan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """SSRCs of media and RTX, matched by position."""
    if plan.encodings:
        return (), ()  # Firefox lists SSRCs beside rids, but not which belongs to which
    section = plan.section
    repair = dict(section.fid)
    if section.sim:
        # Low to high. The engine matches them by position, so RTX SSRCs must be complete.
        ssrcs = section.sim[0]
        complete = all(ssrc in repair for ssrc in ssrcs)
        return ssrcs, tuple(repair[ssrc] for ssrc in ssrcs) if complete else ()
    # SSRCs with a repair stream come first.
    ssrcs = tuple(sorted(section.ssrcs, key=lambda ssrc: ssrc not in repair))
    return ssrcs, tuple(repair[ssrc] for ssrc in ssrcs if ssrc in repair)
