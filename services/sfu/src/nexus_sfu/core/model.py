"""The nouns of a room's live state and of what a client offers for it.

Enumerations carry the numbers of `nexus.types.v1`, so that the wire is a cast away. State classes are mutable
on purpose: the room that holds them is their only writer.
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
        """Tracks of one participant with the same group are seen and heard together."""
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
    """Why a participant or a room is gone (`DisconnectReason`)."""

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
    """What decides whether a receiver decodes a stream, as the engine's `CodecTable` has it: two that are
    equal go together."""

    codec: Codec
    # H.264: profile_idc, because baseline with and without constraints decode one another; VP9: profile-id.
    profile: int = 0
    # H.264: packetization is not changed on the way.
    packetization_mode: int = 0


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """One payload type as answered, for the whole BUNDLE group."""

    payload_type: int
    codec: Codec
    clock_rate: int
    rtx_payload_type: int | None = None
    h264_profile_level_id: int | None = None
    h264_packetization_mode: int = 0
    vp9_profile: int = 0
    # Opus: redundant audio (RFC 2198) around this payload type.
    red_payload_type: int | None = None

    @property
    def format(self) -> Format:
        match self.codec:
            case Codec.H264:
                # RFC 6184 section 8.1: baseline where nothing is said.
                profile_idc = (self.h264_profile_level_id or 0x420010) >> 16
                return Format(self.codec, profile_idc, self.h264_packetization_mode)
            case Codec.VP9:
                return Format(self.codec, self.vp9_profile)
            case _:
                return Format(self.codec)


class Setup(Enum):
    """What a client offers to be in DTLS: `a=setup` (RFC 8842 section 5.2)."""

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


@dataclass(frozen=True, slots=True)
class Layer:
    """An encoding of a simulcast, or a spatial layer (`VideoLayer`); 0 and "" where nothing was said."""

    rid: str = ""
    spatial: int = 0
    width: int = 0
    height: int = 0
    max_bitrate_bps: int = 0
    # Not sent at present: the source has too few pixels for it.
    inactive: bool = False


@dataclass(frozen=True, slots=True)
class PublicationOffer:
    """A media section in which the client wants to send."""

    mid: str
    source: Source
    format: Format
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    # Pair up by position. Empty for simulcast by rid, whose packets name their encoding.
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: tuple[int, ...] = ()
    # Of the codec, its retransmissions and its redundancy: packets that name no section are told by them.
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
    """How a participant looks at a video track (`TrackView`)."""

    track_id: str
    # In device pixels; 0: not told, any size will do.
    width: int = 0
    height: int = 0
    hidden: bool = False
    pinned: bool = False
    # 0: by the track's source.
    priority: int = 0
    max_spatial: int | None = None
    max_temporal: int | None = None


@dataclass(frozen=True, slots=True)
class LayerLimit:
    """Up to this spatial layer (or encoding) and this temporal one, 0 being the lowest."""

    spatial: int
    temporal: int


class Quality(IntEnum):
    """How a connection does (`ConnectionQuality`)."""

    UNKNOWN = 0
    LOST = 1
    POOR = 2
    GOOD = 3
    EXCELLENT = 4


@dataclass(frozen=True, slots=True)
class SlotOffer:
    """A media section in which the client is ready to receive."""

    mid: str
    kind: Kind
    # What was negotiated for it.
    formats: frozenset[Format]
    # Whether it takes retransmissions (RFC 4588) wherever other sections of the offer do.
    rtx: bool = True


@dataclass(frozen=True, slots=True)
class DataOffer:
    """A section for data channels (RFC 8841)."""

    mid: str
    port: int
    # What the client takes in one message; 0: any size.
    max_message_size: int


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """What an SDP offer means to a room, in the order of its sections."""

    transport: TransportOffer
    publications: tuple[PublicationOffer, ...] = ()
    slots: tuple[SlotOffer, ...] = ()
    data: DataOffer | None = None
    # Sections that a publication names and that send nothing.
    silent: tuple[str, ...] = ()


@dataclass(slots=True)
class Track:
    id: str
    # Stands in the CSRC of what is forwarded; never given out twice in a room's life.
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
        """Of a simulcast, low to high."""
        return tuple(layer.rid for layer in self.layers if layer.rid)

    @property
    def sent_layers(self) -> tuple[Layer, ...]:
        """Low to high; what is not sent stands above them."""
        return tuple(layer for layer in self.layers if not layer.inactive)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each layer, low to high; zeros where the publisher did not say. Of a track
        without layers its own."""
        if not self.layers:
            return ((self.width, self.height),)
        *lower, top = ((layer.width, layer.height) for layer in self.layers)
        return (*lower, top if all(top) else (self.width, self.height))


@dataclass(slots=True)
class Slot:
    mid: str
    kind: Kind
    # -1: an audio slot on its own.
    pair: int
    # What its section was negotiated with.
    formats: frozenset[Format]
    # As it was offered.
    rtx: bool = True
    # Given by the engine; 0 until then.
    ssrc: int = 0
    rtx_ssrc: int | None = None
    track_id: str | None = None
    # The engine sends nothing through it for want of bandwidth.
    paused: bool = False

    @property
    def stream(self) -> str:
        """The msid's stream id (RFC 8830): shared within a pair, so that the browser keeps lips in sync."""
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
    # Video tracks for which this participant requested a slot, oldest first; those without a slot wait.
    requested_tracks: dict[str, None] = field(default_factory=dict)
    unsubscribed: set[str] = field(default_factory=set)
    # Tracks that were asked for and that no slot decodes, as last told.
    undecodable: set[str] = field(default_factory=set)
    # By track, as last told.
    views: dict[str, View] = field(default_factory=dict)
    quality: Quality = Quality.UNKNOWN
    # ICE and DTLS were up at least once.
    connected: bool = False
    # Our side of the DTLS association; it never changes.
    dtls_client: bool = False
