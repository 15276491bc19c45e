"""The types of a room's state and of clients' offers.

Enumerations have the numbers of `nexus.types.v1`, so that conversion to the wire is a cast. State classes are
mutable; only the room that holds them changes them.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Kind(IntEnum):
    AUDIO = 1
    VIDEO = 2


class Source(IntEnum):
    MICROPHONE = 1
    CAMERA = 2
    SCREEN = 3
    SCREEN_AUDIO = 4

    @property
    def kind(self) -> Kind:
        return Kind.VIDEO if self in (Source.CAMERA, Source.SCREEN) else Kind.AUDIO

    @property
    def group(self) -> int:
        """Tracks of one participant with the same group belong together, such as camera and microphone."""
        return 1 if self in (Source.SCREEN, Source.SCREEN_AUDIO) else 0


class Codec(IntEnum):
    OPUS = 1
    VP8 = 2
    VP9 = 3
    H264 = 4
    AV1 = 5

    @property
    def kind(self) -> Kind:
        return Kind.AUDIO if self is Codec.OPUS else Kind.VIDEO


class Extension(IntEnum):
    """RTP header extensions (RFC 8285) that the engine reads or writes; numbers as in the engine's
    `HeaderExtension`."""

    AUDIO_LEVEL = 1
    ABS_SEND_TIME = 2
    TRANSPORT_WIDE_CC = 3
    MID = 4
    RTP_STREAM_ID = 5
    REPAIRED_RTP_STREAM_ID = 6
    DEPENDENCY_DESCRIPTOR = 7
    VIDEO_ORIENTATION = 8


class Reason(IntEnum):
    """The reason why a participant left or a room closed (`DisconnectReason`)."""

    CLIENT_LEFT = 1
    REPLACED = 2
    REMOVED = 3
    ROOM_CLOSED = 4
    SERVER_SHUTDOWN = 5
    MEDIA_FAILED = 6
    SIGNALING_LOST = 7
    PROTOCOL_ERROR = 8
    TOKEN_REJECTED = 9


@dataclass(frozen=True, slots=True)
class RoomKey:
    app: str
    room: str


@dataclass(frozen=True, slots=True)
class Grants:
    create: bool = False
    publish: bool = False
    subscribe: bool = False
    data: bool = False
    hidden: bool = False
    recorder: bool = False
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """The properties that determine whether a receiver decodes a stream, as in the engine's `CodecTable`.
    Equal formats are compatible."""

    codec: Codec
    # H.264: profile_idc, because baseline with and without constraints are compatible; VP9: profile-id.
    profile: int = 0
    # H.264: the SFU does not change the packetization.
    packetization_mode: int = 0


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """One payload type of the answer, for the whole BUNDLE group."""

    payload_type: int
    codec: Codec
    clock_rate: int
    rtx_payload_type: int | None = None
    h264_profile_level_id: int | None = None
    h264_packetization_mode: int = 0
    vp9_profile: int = 0
    # Opus: payload type of redundant audio (RFC 2198) for this one.
    red_payload_type: int | None = None

    @property
    def format(self) -> Format:
        match self.codec:
            case Codec.H264:
                # RFC 6184 section 8.1: baseline is the default.
                profile_idc = (self.h264_profile_level_id or 0x420010) >> 16
                return Format(self.codec, profile_idc, self.h264_packetization_mode)
            case Codec.VP9:
                return Format(self.codec, self.vp9_profile)
            case _:
                return Format(self.codec)


class Setup(Enum):
    """The DTLS role that a client offers: `a=setup` (RFC 8842 section 5.2)."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """RFC 8839 section 5.4."""

    ufrag: str
    pwd: str


@dataclass(frozen=True, slots=True)
class TransportOffer:
    ice: IceCredentials
    # (hash name, "AA:BB:…"), RFC 8122 section 5.
    fingerprints: tuple[tuple[str, str], ...]
    codecs: tuple[CodecChoice, ...]
    extensions: tuple[tuple[Extension, int], ...]
    reduced_size_rtcp: bool
    setup: Setup = Setup.ACTPASS
    # Every video slot has negotiated the dependency descriptor.
    forward_descriptors: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """An encoding of a simulcast, or a spatial layer (`VideoLayer`). Unknown values are 0 and ""."""

    rid: str = ""
    spatial: int = 0
    width: int = 0
    height: int = 0
    max_bitrate_bps: int = 0
    # Not sent at present, because the source has too few pixels for it.
    inactive: bool = False


@dataclass(frozen=True, slots=True)
class PublicationOffer:
    """A media section on which the client sends."""

    mid: str
    source: Source
    format: Format
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    # Media and RTX SSRCs, matched by position. Empty for simulcast by rid, whose packets name their encoding.
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: tuple[int, ...] = ()
    # Payload types of the codec, its retransmissions and its redundancy; they identify packets without MID.
    payload_types: tuple[int, ...] = ()
    # Low to high; empty: one encoding without spatial layers.
    layers: tuple[Layer, ...] = ()
    scalability_mode: str = ""

    @property
    def codec(self) -> Codec:
        return self.format.codec

    @property
    def rids(self) -> tuple[str, ...]:
        return tuple(layer.rid for layer in self.layers if layer.rid)


@dataclass(frozen=True, slots=True)
class View:
    """How a participant shows a video track (`TrackView`)."""

    track_id: str
    # In device pixels; 0: any size.
    width: int = 0
    height: int = 0
    hidden: bool = False
    pinned: bool = False
    # 0: the default for the track's source.
    priority: int = 0
    max_spatial: int | None = None
    max_temporal: int | None = None


@dataclass(frozen=True, slots=True)
class LayerLimit:
    """The highest spatial layer (or encoding) and temporal layer, from 0 (the lowest)."""

    spatial: int
    temporal: int


class Quality(IntEnum):
    """The rating of a connection (`ConnectionQuality`)."""

    UNKNOWN = 0
    LOST = 1
    POOR = 2
    GOOD = 3
    EXCELLENT = 4


@dataclass(frozen=True, slots=True)
class SlotOffer:
    """A media section on which the client can receive."""

    mid: str
    kind: Kind
    # The negotiated formats.
    formats: frozenset[Format]
    # Whether it accepts all retransmissions (RFC 4588) that other sections of the offer accept.
    rtx: bool = True


@dataclass(frozen=True, slots=True)
class DataOffer:
    """A section for data channels (RFC 8841)."""

    mid: str
    port: int
    # Maximum size of a message that the client accepts; 0: any size.
    max_message_size: int


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """The contents of an SDP offer for a room, in the order of its sections."""

    transport: TransportOffer
    publications: tuple[PublicationOffer, ...] = ()
    slots: tuple[SlotOffer, ...] = ()
    data: DataOffer | None = None
    # Sections that a publication names but that send nothing.
    silent: tuple[str, ...] = ()


@dataclass(slots=True)
class Track:
    id: str
    # The CSRC of forwarded packets; never reused in a room.
    number: int
    participant_id: str
    source: Source
    format: Format
    mid: str
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: tuple[int, ...] = ()
    payload_types: tuple[int, ...] = ()
    layers: tuple[Layer, ...] = ()
    scalability_mode: str = ""
    # The layer demand, once the engine has reported it; None: no subscriber watches the track.
    demand: LayerLimit | None = None
    demand_known: bool = False

    @property
    def kind(self) -> Kind:
        return self.source.kind

    @property
    def codec(self) -> Codec:
        return self.format.codec

    @property
    def rids(self) -> tuple[str, ...]:
        """The rids of a simulcast, low to high."""
        return tuple(layer.rid for layer in self.layers if layer.rid)

    @property
    def sent_layers(self) -> tuple[Layer, ...]:
        """The layers that are sent, low to high; layers that are not sent are above them."""
        return tuple(layer for layer in self.layers if not layer.inactive)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each layer, low to high, with zeros if unknown; for a track without layers, its
        own size."""
        if not self.layers:
            return ((self.width, self.height),)
        *lower, top = ((layer.width, layer.height) for layer in self.layers)
        return (*lower, top if all(top) else (self.width, self.height))


@dataclass(slots=True)
class Slot:
    mid: str
    kind: Kind
    # -1: an audio slot without a pair.
    pair: int
    # The negotiated formats of its section.
    formats: frozenset[Format]
    # As in `SlotOffer`.
    rtx: bool = True
    # Assigned by the engine; 0 until then.
    ssrc: int = 0
    rtx_ssrc: int | None = None
    track_id: str | None = None
    # The engine sends nothing in this slot for lack of bandwidth.
    paused: bool = False

    @property
    def stream(self) -> str:
        """The stream id of the msid (RFC 8830), shared within a pair, so that the browser plays its slots in
        sync."""
        return f"pair-{self.pair}" if self.pair >= 0 else f"audio-{self.mid}"


@dataclass(slots=True)
class Participant:
    id: str
    identity: str
    name: str
    metadata: str
    attributes: dict[str, str]
    grants: Grants
    joined_at_ms: int
    transport: TransportOffer
    tracks: dict[str, Track] = field(default_factory=dict)
    # By mid, in the order of the description.
    slots: dict[str, Slot] = field(default_factory=dict)
    slot_revision: int = 0
    next_pair: int = 0
    # Video tracks for which this participant requested a slot, oldest first.
    requested_tracks: dict[str, None] = field(default_factory=dict)
    unsubscribed: set[str] = field(default_factory=set)
    # Requested tracks that no slot decodes, as last reported to the participant.
    undecodable: set[str] = field(default_factory=set)
    # The participant's views, by track.
    views: dict[str, View] = field(default_factory=dict)
    quality: Quality = Quality.UNKNOWN
    # Whether ICE and DTLS have been connected at least once.
    connected: bool = False
    # Whether the SFU is the DTLS client; this never changes.
    dtls_client: bool = False
