"""Selects the encodings of a publication, low to high: simulcast by rid (RFC 8851, RFC 8853) or by SSRC
(`a=ssrc-group:SIM`, which WebRTC clients used before rids), or the spatial layers of one scalable stream.

The order of `a=simulcast` is the sender's preference (RFC 8853 section 5.2) and not the order of sizes, and
rids have no inherent meaning. So the publication's list of layers determines the order; without one, the
order of `a=simulcast` applies, which browsers take from `sendEncodings`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nexus_sfu import errors
from nexus_sfu.core.model import Codec, Layer
from nexus_sfu.sdp.codec_policy import Accepted
from nexus_sfu.sdp.offer import Capabilities, Rid, Section

# Maximum number of encodings of one track in the engine.
MAX_ENCODINGS = 4
# Maximum number of rids in a section; browsers offer a few.
MAX_RIDS = 16
# A rid: alphanumeric, "-" and "_" (RFC 8851 section 10). As an SDES item (RFC 8852 section 3) it must fit
# into the sixteen bytes of a one-byte header extension (RFC 8285 section 4.2).
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")
# W3C webrtc-svc section 6.
_SCALABILITY_MODE = re.compile(r"[LS]([1-3])T[1-3]h?(_KEY(_SHIFT)?)?")


@dataclass(frozen=True, slots=True)
class Encoding:
    """One stream of the answer's `a=simulcast:recv`."""

    rid: Rid
    # Whether the encoding is not sent at present ("~", RFC 8853 section 5.1). The answer repeats it, because
    # a browser takes an answer without it as a request to resume the encoding.
    paused: bool


def check_rids(capabilities: Capabilities, mid: str) -> None:
    """Raises RpcError INVALID_SDP."""
    rids = capabilities.rids
    if len(rids) > MAX_RIDS:
        raise errors.invalid_sdp("too many a=rid lines in a media section", mid=mid, limit=MAX_RIDS)
    for rid in rids:
        if not _RID.fullmatch(rid.id):
            raise errors.invalid_sdp("a=rid must be 1 to 16 letters, digits, '-' or '_'", mid=mid)
    if len({rid.id for rid in rids}) != len(rids):
        raise errors.invalid_sdp("two a=rid lines of a media section have the same id", mid=mid)


def check_ssrc_groups(section: Section) -> None:
    """Raises RpcError INVALID_SDP."""
    if len(section.sim) > 1:
        raise errors.invalid_sdp("two a=ssrc-group:SIM in a media section", mid=section.mid)
    for group in section.sim:
        if len(group) > MAX_ENCODINGS:
            raise errors.invalid_sdp(
                "too many SSRCs in a=ssrc-group:SIM", mid=section.mid, limit=MAX_ENCODINGS
            )
        if len(set(group)) != len(group):
            raise errors.invalid_sdp("a=ssrc-group:SIM contains an SSRC twice", mid=section.mid)


def encodings(section: Section, payload_type: int) -> tuple[Encoding, ...]:
    """The encodings that the section sends as simulcast by rid with this payload type, in the offer's order;
    empty without simulcast. Raises RpcError INVALID_SDP."""
    mid = section.mid
    sending = {rid.id: rid for rid in section.capabilities.rids if rid.direction == "send"}
    found: list[Encoding] = []
    seen: set[str] = set()
    for alternatives in _send_streams(section.capabilities.simulcast, mid):
        for name in alternatives:
            plain = name.removeprefix("~")
            if plain not in sending:
                raise errors.invalid_sdp("a=simulcast names a rid without a=rid … send", mid=mid)
            if plain in seen:
                raise errors.invalid_sdp("a=simulcast names a rid twice", mid=mid)
            seen.add(plain)
        usable = [name for name in alternatives if _allows(sending[name.removeprefix("~")], payload_type)]
        if usable:  # the sender prefers the first alternative (RFC 8853 section 5.2)
            plain = usable[0].removeprefix("~")
            found.append(Encoding(sending[plain], usable[0].startswith("~")))
    if len(found) > MAX_ENCODINGS:
        raise errors.invalid_sdp("too many simulcast streams", mid=mid, limit=MAX_ENCODINGS)
    return tuple(found)


def _send_streams(simulcast: str, mid: str) -> list[list[str]]:
    """The alternatives of each stream in the direction "send" (RFC 8853 section 5.1)."""
    words = simulcast.split()
    if len(words) % 2 or any(direction not in ("send", "recv") for direction in words[::2]):
        raise errors.invalid_sdp("malformed a=simulcast", mid=mid)
    lists = [
        streams for direction, streams in zip(words[::2], words[1::2], strict=True) if direction == "send"
    ]
    if len(lists) > 1:
        raise errors.invalid_sdp("malformed a=simulcast", mid=mid)
    streams = [stream.split(",") for stream in lists[0].split(";")] if lists else []
    if sum(len(alternatives) for alternatives in streams) > MAX_RIDS:
        raise errors.invalid_sdp("too many rids in a=simulcast", mid=mid, limit=MAX_RIDS)
    return streams


def _payload_types(rid: Rid) -> list[str] | None:
    """The payload types to which `pt=` restricts the rid (RFC 8851 section 5); None: all of the section."""
    for parameter in rid.parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "pt":
            return value.split(",")
    return None


def _allows(rid: Rid, payload_type: int) -> bool:
    allowed = _payload_types(rid)
    return allowed is None or str(payload_type) in allowed


def answered_parameters(rid: Rid, payload_type: int) -> str:
    """The rid's restrictions in the answer: those of the offer, with the chosen payload type (RFC 8851
    section 6.2.2)."""
    parameters = [p.strip() for p in rid.parameters.split(";") if p.strip()]
    return ";".join(f"pt={payload_type}" if p.startswith("pt=") else p for p in parameters)


def choose(
    section: Section, accepted: Accepted, layers: Sequence[Layer], scalability_mode: str
) -> tuple[tuple[Encoding, ...], tuple[Layer, ...]]:
    """The encodings of the answer (only by rid), in the offer's order, and the layers of the track, low to
    high. Raises RpcError INVALID_SDP or INVALID_ARGUMENT."""
    spatial = _spatial_layers(scalability_mode, section.mid)
    if spatial > 1 and not is_scalable(accepted.codec):
        # The accepted codec has no spatial layers, so the publisher sends a single one.
        spatial, layers = 1, ()
    offered = encodings(section, accepted.rtp.payload_type)
    by_ssrc = section.sim[0] if section.sim else ()
    simulcast = len(offered) > 1 or len(by_ssrc) > 1
    if simulcast and spatial > 1:
        raise errors.invalid_argument(
            "a publication cannot have both simulcast and spatial layers", mid=section.mid
        )
    if len(offered) > 1:
        return _by_rid(offered, layers, section.mid)
    count = len(by_ssrc) if simulcast else spatial
    if layers and len(layers) != count:
        raise errors.invalid_argument(
            "the number of layers differs from the number of encodings", mid=section.mid, encodings=count
        )
    if any(layer.rid for layer in layers):
        raise errors.invalid_argument(
            "the layers name rids, but the media section has no simulcast", mid=section.mid
        )
    return (), _numbered(layers or [Layer()] * count) if count > 1 else ()


def _by_rid(
    offered: tuple[Encoding, ...], layers: Sequence[Layer], mid: str
) -> tuple[tuple[Encoding, ...], tuple[Layer, ...]]:
    if not layers:
        return offered, _numbered([Layer(rid=encoding.rid.id) for encoding in offered])
    names = [layer.rid for layer in layers]
    if len(set(names)) != len(names):
        raise errors.invalid_argument("two layers of a publication have the same rid", mid=mid)
    if not set(names).issubset(encoding.rid.id for encoding in offered):
        raise errors.invalid_argument("a layer names a rid that is not in a=simulcast", mid=mid)
    return tuple(encoding for encoding in offered if encoding.rid.id in names), _numbered(layers)


def is_scalable(codec: Codec) -> bool:
    """Whether the codec can have spatial layers."""
    return codec in (Codec.VP9, Codec.AV1)


def _spatial_layers(mode: str, mid: str) -> int:
    if not mode:
        return 1
    match = _SCALABILITY_MODE.fullmatch(mode)
    if match is None:
        raise errors.invalid_argument("the scalability mode is not one of W3C webrtc-svc", mid=mid)
    return int(match[1])


def _numbered(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(replace(layer, spatial=index) for index, layer in enumerate(layers))
