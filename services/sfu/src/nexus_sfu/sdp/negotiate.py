"""Offer and wishes → what each media section is for, and what a room needs to know of it.

Within a BUNDLE group a payload type or extension id means one thing (RFC 9143 section 9.1); where sections
disagree, the first meaning stands and the other is not accepted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from nexus_sfu import errors
from nexus_sfu.core.model import (
    Codec,
    CodecChoice,
    DataOffer,
    Extension,
    Kind,
    Layer,
    MediaOffer,
    PublicationOffer,
    SlotOffer,
    Source,
    TransportOffer,
)
from nexus_sfu.sdp.codec_policy import VIDEO_ORDER, Accepted, extension_of, for_publication, supported
from nexus_sfu.sdp.offer import ExtMap, Offer, Section
from nexus_sfu.sdp.simulcast import Encoding, choose, is_scalable
from nexus_sfu.sdp.validate import HASHES


@dataclass(frozen=True, slots=True)
class PublicationWish:
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
    # Data channels (RFC 8841): one section, with the protocol that browsers speak.
    DATA = auto()
    # Kept, but nothing flows: a publication that is not listed, or an inactive section.
    IDLE = auto()
    # Port 0: stopped by the client, or nothing here that we could do.
    REJECTED = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    section: Section
    role: Role
    codecs: tuple[Accepted, ...] = ()
    extensions: tuple[ExtMap, ...] = ()
    # Of a publication that is simulcast by rid, in the offer's order.
    encodings: tuple[Encoding, ...] = ()
    # Of a publication, low to high; empty: one encoding without spatial layers.
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class Negotiated:
    offer: Offer
    plans: tuple[Plan, ...]
    media: MediaOffer


def negotiate(
    offer: Offer, wishes: Iterable[PublicationWish], order: Sequence[Codec] = VIDEO_ORDER
) -> Negotiated:
    """Raises INVALID_SDP, INVALID_ARGUMENT, UNSUPPORTED_CODEC."""
    wished = _by_mid(offer, wishes)
    group = _Group(offer.extmap_allow_mixed)
    # One association is all that a DTLS connection carries (RFC 8261 section 3).
    data = next((section for section in offer.sections if _is_data(section)), None)
    plans = tuple(
        Plan(section, Role.DATA) if section is data else _plan(section, wished.get(section.mid), group, order)
        for section in offer.sections
    )
    plans = _agree_on_redundancy(plans)
    live = [plan for plan in plans if plan.role is not Role.REJECTED]
    if not live:
        raise errors.invalid_sdp("the offer has no audio, video or data section that can be used")
    return Negotiated(offer, plans, _media(offer, plans, wished, group))


def _by_mid(offer: Offer, wishes: Iterable[PublicationWish]) -> dict[str, PublicationWish]:
    sections = {section.mid: section for section in offer.sections}
    wished: dict[str, PublicationWish] = {}
    for wish in wishes:
        section = sections.get(wish.mid)
        if section is None:
            raise errors.invalid_sdp(
                "a publication names a mid that the offer does not have", mid=wish.mid[:64]
            )
        if wish.mid in wished:
            raise errors.invalid_argument("two publications name the same mid", mid=wish.mid)
        if section.kind != wish.source.kind.name.lower():
            raise errors.invalid_argument(
                "the publication's source does not go with the media section's kind",
                mid=wish.mid,
                source=wish.source.name,
                kind=section.kind[:20],
            )
        wished[wish.mid] = wish
    return wished


class _Group:
    """What payload types and extension ids mean in this BUNDLE group so far."""

    def __init__(self, two_byte: bool) -> None:
        self.two_byte = two_byte
        self.choices: dict[int, CodecChoice] = {}
        self.extensions: dict[Extension, int] = {}
        # RTX and RED payload types → the one that they repair or repeat.
        self._repairs: dict[int, int] = {}

    def take_codec(self, accepted: Accepted) -> Accepted | None:
        """The codec as far as it agrees with what the group has, maybe without RTX; None if it does not."""
        own = accepted.rtp.payload_type
        if accepted.rtx is not None and not self._may_repair(accepted.rtx.payload_type, own):
            accepted = replace(accepted, rtx=None)
        if accepted.red is not None and not self._may_repair(accepted.red.payload_type, own):
            accepted = replace(accepted, red=None)
        if own in self._repairs or self.choices.setdefault(own, accepted.choice()) != accepted.choice():
            return None
        for further in (accepted.rtx, accepted.red):
            if further is not None:
                self._repairs[further.payload_type] = own
        return accepted

    def _may_repair(self, rtx: int, repaired: int) -> bool:
        return rtx != repaired and rtx not in self.choices and self._repairs.get(rtx, repaired) == repaired

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


def _plan(section: Section, wish: PublicationWish | None, group: _Group, order: Sequence[Codec]) -> Plan:
    kinds = {"audio": Kind.AUDIO, "video": Kind.VIDEO}
    kind = kinds.get(section.kind)
    # JSEP section 5.1.2 takes every profile that ends so; without DTLS-SRTP there is nothing to talk about.
    if kind is None or section.stopped or not section.protocol.endswith("RTP/SAVPF"):
        return Plan(section, Role.REJECTED)
    accepted = supported(section.capabilities, kind)
    role = _role(section, wish)
    if role is Role.PUBLICATION and wish is not None:
        chosen = for_publication(accepted, wish.preferred, order)
        if chosen is None:
            raise errors.unsupported_codec(section.mid)
        accepted = [chosen]
    agreed = (group.take_codec(codec) for codec in accepted)
    taken = tuple(codec for codec in agreed if codec is not None)
    if not taken:
        return Plan(section, Role.REJECTED)
    extensions: dict[Extension, ExtMap] = {}
    for offered in section.capabilities.extensions:
        extension = extension_of(offered, kind, two_byte=group.two_byte)
        if extension is not None and extension not in extensions and group.take_extension(extension, offered):
            extensions[extension] = offered
    encodings: tuple[Encoding, ...] = ()
    layers: tuple[Layer, ...] = ()
    if role is Role.PUBLICATION and wish is not None and kind is Kind.VIDEO:
        encodings, layers = choose(section, taken[0], wish.layers, wish.scalability_mode)
        if encodings and not {Extension.RTP_STREAM_ID, Extension.MID} <= extensions.keys():
            # RFC 8852 section 3: without them nobody can tell the encodings from one another.
            raise errors.invalid_sdp(
                "simulcast by rid needs the extensions mid and rtp-stream-id", mid=section.mid
            )
    return Plan(section, role, taken, tuple(extensions.values()), encodings, layers)


def _agree_on_redundancy(plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """A slot is sent what any other is sent: redundant audio (RFC 2198) is for all audio slots of a client or
    for none of its sections. A publication may do without it."""
    slots = [c for plan in plans if plan.role is Role.SLOT for c in plan.codecs if c.codec is Codec.OPUS]
    if all(codec.red is not None for codec in slots):
        return plans
    return tuple(replace(plan, codecs=tuple(replace(c, red=None) for c in plan.codecs)) for plan in plans)


def _role(section: Section, wish: PublicationWish | None) -> Role:
    if wish is not None and section.direction in ("sendonly", "sendrecv"):
        return Role.PUBLICATION
    return Role.SLOT if section.direction == "recvonly" else Role.IDLE


def _media(
    offer: Offer, plans: Sequence[Plan], wished: dict[str, PublicationWish], group: _Group
) -> MediaOffer:
    tagged = offer.tagged
    assert tagged.ice is not None  # checked with the offer
    transport = TransportOffer(
        ice=tagged.ice,
        fingerprints=tuple(fp for fp in tagged.fingerprints if fp[0] in HASHES),
        codecs=tuple(_with_redundancy(group.choices.values(), plans)),
        extensions=tuple(group.extensions.items()),
        reduced_size_rtcp=all(
            p.section.rtcp_rsize for p in plans if p.role not in (Role.REJECTED, Role.DATA)
        ),
    )
    return MediaOffer(
        transport=transport,
        publications=tuple(
            _publication(plan, wished[plan.section.mid]) for plan in plans if plan.role is Role.PUBLICATION
        ),
        slots=tuple(
            SlotOffer(plan.section.mid, plan.codecs[0].codec.kind) for plan in plans if plan.role is Role.SLOT
        ),
        data=next((_data(plan.section) for plan in plans if plan.role is Role.DATA), None),
    )


def _data(section: Section) -> DataOffer:
    return DataOffer(section.mid, section.sctp_port, section.max_message_size)


def _with_redundancy(choices: Iterable[CodecChoice], plans: Sequence[Plan]) -> Iterator[CodecChoice]:
    red = {c.rtp.payload_type: c.red.payload_type for plan in plans for c in plan.codecs if c.red is not None}
    for choice in choices:
        yield replace(choice, red_payload_type=red.get(choice.payload_type))


def _publication(plan: Plan, wish: PublicationWish) -> PublicationOffer:
    ssrcs, rtx_ssrcs = _ssrcs(plan)
    return PublicationOffer(
        mid=wish.mid,
        source=wish.source,
        codec=plan.codecs[0].codec,
        name=wish.name,
        muted=wish.muted,
        width=wish.width,
        height=wish.height,
        ssrcs=ssrcs,
        rtx_ssrcs=rtx_ssrcs,
        layers=plan.layers,
        scalability_mode=wish.scalability_mode if is_scalable(plan.codecs[0].codec) else "",
    )


def _ssrcs(plan: Plan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Media and RTX, paired up by position."""
    if plan.encodings:
        return (), ()  # Firefox lists SSRCs beside rids, without saying which is whose
    section = plan.section
    repair = dict(section.fid)
    if section.sim:
        # Low to high; the engine pairs them up by position, so none may be missing.
        ssrcs = section.sim[0]
        complete = all(ssrc in repair for ssrc in ssrcs)
        return ssrcs, tuple(repair[ssrc] for ssrc in ssrcs) if complete else ()
    # Those with a repair stream come first.
    ssrcs = tuple(sorted(section.ssrcs, key=lambda ssrc: ssrc not in repair))
    return ssrcs, tuple(repair[ssrc] for ssrc in ssrcs if ssrc in repair)
