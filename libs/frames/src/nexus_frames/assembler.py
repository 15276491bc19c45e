"""Turns the records of one StreamTrack into frames.

The tap has put packets in order and reports what is missing (`docs/architecture/engine-taps.md`), so a frame
is the packets of one timestamp up to the marker. After a loss, video is dropped until a decoder can start
again. Nothing that a publisher sends raises: a frame that no decoder takes is `Undecodable`, and the stream
goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nexus.sfu.v1 import track_stream_pb2 as pb

from nexus_frames import _depacketizer
from nexus_frames.counters import FrameCounters
from nexus_frames.events import (
    EndReason,
    Frame,
    Gap,
    GapReason,
    Mute,
    SourceChange,
    StreamEnd,
    StreamEvent,
    Undecodable,
    UndecodableReason,
)
from nexus_frames.formats import SAMPLE_RATE, UPRIGHT, AudioFormat, Codec, Orientation, VideoFormat
from nexus_frames.opus import packet_samples
from nexus_frames.transform import FrameTransform, Identity

MAX_FRAME_BYTES = 4 << 20
"""Maximum size of a frame, as in the engine's own frame assembler."""
MAX_FRAME_PACKETS = 8_192
"""Maximum number of packets of a frame; they may be tiny."""
MAX_CONFIGURATION_BYTES = 16_384
"""Maximum size of a decoder configuration, as in the engine's `DescribeH264`."""

_START_CODE = b"\x00\x00\x00\x01"
_SPS, _PPS = 7, 8
_AUDIO = AudioFormat()
N = TypeVar("N", GapReason, EndReason)


@dataclass(frozen=True, slots=True)
class StreamState:
    """All that a new assembler must know to continue a stream behind an acknowledged position.

    A named tap that is resumed repeats neither its source nor a keyframe. `format` is that of the last frame,
    None: none was complete. `decodable`: the next frame refers to nothing that was lost.
    """

    source: SourceChange
    format: VideoFormat | None = None
    decodable: bool = False


def _number(kind: type[N], number: int) -> N:
    """The member with this number; UNSPECIFIED for one of a later version."""
    try:
        return kind(number)
    except ValueError:
        return kind(0)


def _unit_types(configuration: bytes) -> set[int]:
    """The types of the NAL units of an H.264 configuration."""
    return {unit[0] & 0x1F for unit in configuration.split(_START_CODE) if unit}


class FrameAssembler:
    """The state of one stream. Feed it batches in order; each returns what they complete."""

    def __init__(self, transform: FrameTransform | None = None, resume: StreamState | None = None) -> None:
        self.counters = FrameCounters()
        self._transform = transform or Identity()
        self._out: list[StreamEvent] = []
        self._source: SourceChange | None = None
        self._codec: Codec | None = None
        self._format: VideoFormat | None = None
        self._configuration = b""
        self._orientation = UPRIGHT
        # Video: the next frame refers to nothing that was lost.
        self._decodable = False
        # Video: the next packet is certainly the first of a frame.
        self._at_boundary = False
        self._shown_layer = _depacketizer.ShownLayer()
        self._lost = False
        self._undecodable: UndecodableReason | None = None
        self._previous_time_us: int | None = None
        # The frame that is not complete.
        self._parts: list[bytes] = []
        self._bytes = 0
        self._first: pb.StreamPacket | None = None
        self._last: pb.StreamPacket | None = None
        self._held_records = 0
        if resume is not None:
            self._source = resume.source
            self._codec = resume.source.codec
            self._format = resume.format
            self._decodable = resume.decodable and resume.format is not None
            self._at_boundary = True
            if resume.format is not None:
                self._configuration = resume.format.configuration
                self._orientation = resume.format.orientation

    @property
    def held_records(self) -> int:
        """The number of records since the first packet of the incomplete frame, which no event shows.

        A reader may acknowledge the position before them.
        """
        return self._held_records

    @property
    def state(self) -> StreamState | None:
        """The state with which another assembler continues at the held records; None before a source."""
        if self._source is None:
            return None
        return StreamState(self._source, self._format, self._decodable)

    def add(self, batch: pb.StreamTrackResponse) -> list[StreamEvent]:
        """Returns the events that the batch completes, in order."""
        out: list[StreamEvent] = []
        self._out = out
        for record in batch.records:
            kind = record.WhichOneof("record")
            if self._held_records:
                self._held_records += 1
            if kind == "packet":
                if self._codec is Codec.OPUS:
                    self._on_audio(record.packet)
                else:
                    self._on_video(record.packet)
            elif kind == "source":
                self._on_source(record.source)
            elif kind == "gap":
                self._on_gap(record.gap)
            elif kind == "muted":
                self._cut_off()
                out.append(Mute(record.muted.muted, record.muted.media_time_us))
            elif kind == "end":
                self._cut_off()
                out.append(StreamEnd(_number(EndReason, record.end.reason)))
            elif kind != "sender_report":
                self.counters.unknown_records += 1
        return out

    def _on_source(self, source: pb.StreamSource) -> None:
        self._cut_off()
        self._format = None
        self._configuration = b""
        self._orientation = UPRIGHT
        self._at_boundary = True
        try:
            self._codec = Codec(source.codec)
        except ValueError:
            self._codec = None
            self._source = None
            return
        self._source = SourceChange(
            self._codec,
            source.payload_type,
            source.clock_rate,
            source.ssrc,
            source.rid,
            source.scalability_mode,
        )
        self._out.append(self._source)

    def _on_gap(self, gap: pb.StreamGap) -> None:
        self._cut_off()
        self._at_boundary = False
        self._lost = True
        self._out.append(
            Gap(
                _number(GapReason, gap.reason),
                gap.first_sequence_number,
                gap.last_sequence_number,
                gap.packets_dropped,
                gap.media_time_before_us or None,
                gap.media_time_after_us or None,
            )
        )

    def _cut_off(self) -> None:
        """Drops the frame that is not complete. Video must begin again."""
        if self._parts:
            self.counters.incomplete += 1
            self._lost = True
        self._clear()
        self._decodable = False

    def _clear(self) -> None:
        self._parts = []
        self._bytes = 0
        self._first = self._last = None
        self._held_records = 0

    def _on_audio(self, packet: pb.StreamPacket) -> None:
        self.counters.packets += 1
        payload = packet.payload
        data = self._transform.transform(Codec.OPUS, True, payload) if payload else None
        if data is None:
            if payload:
                self._report(UndecodableReason.TRANSFORM, packet, packet)
            return
        samples = packet_samples(data)
        if samples is None:
            self._report(UndecodableReason.BITSTREAM, packet, packet)
            return
        level = packet.audio_level if packet.HasField("audio_level") else None
        self._emit(packet, packet, True, data, _AUDIO, samples * 1_000_000 // SAMPLE_RATE, level)

    def _on_video(self, packet: pb.StreamPacket) -> None:
        self.counters.packets += 1
        payload = packet.payload
        if not payload:
            return
        if self._first is not None and packet.rtp_timestamp != self._first.rtp_timestamp:
            self._complete()  # its encoder sets no marker
        if self._first is None:
            self._first = packet
            self._held_records = 1
        self._last = packet
        self._bytes += len(payload)
        if self._bytes <= MAX_FRAME_BYTES and len(self._parts) < MAX_FRAME_PACKETS:
            self._parts.append(payload)
        else:
            self._bytes = MAX_FRAME_BYTES + 1
        if packet.video_orientation or packet.HasField("video_orientation"):
            self._orientation = Orientation.from_byte(packet.video_orientation)
        if packet.marker:
            self._complete()

    def _complete(self) -> None:
        first, last, parts = self._first, self._last, self._parts
        assert first is not None
        assert last is not None
        too_large = self._bytes > MAX_FRAME_BYTES
        whole = self._at_boundary or first.keyframe
        self._clear()
        self._at_boundary = True
        if self._codec is None:
            self._report(UndecodableReason.CODEC, first, last)
        elif not whole:
            self.counters.incomplete += 1
        elif too_large:
            self._report(UndecodableReason.SIZE, first, last)
        else:
            self._take(self._codec, first, last, parts)

    def _take(
        self, codec: Codec, first: pb.StreamPacket, last: pb.StreamPacket, parts: Sequence[bytes]
    ) -> None:
        """Emits a whole frame, if a decoder takes it."""
        may_start = first.keyframe or codec is Codec.H264
        if not self._decodable and not may_start:
            self.counters.awaiting_keyframe += 1
            return
        data = _depacketizer.depacketize(codec, parts)
        if data is None:
            self._report(UndecodableReason.PACKETS, first, last)
            return
        transformed = self._transform.transform(codec, first.keyframe, data)
        if transformed is None:
            self._report(UndecodableReason.TRANSFORM, first, last)
            return
        data = transformed
        keyframe = False
        if may_start:
            description = _depacketizer.describe(codec, data)
            if description is None:
                self._report(UndecodableReason.BITSTREAM, first, last)
                return
            self._learn(codec, description.configuration)
            if not description.has_picture:
                return
            # An access unit with an SPS at which a decoder can start need not be IDR (recovery point).
            keyframe = description.keyframe or (codec is Codec.H264 and first.keyframe)
            if keyframe:
                completed = self._with_configuration(codec, data, description.configuration)
                if completed is None:
                    self._report(UndecodableReason.CONFIGURATION, first, last)
                    return
                data = completed
                self._decodable = True
                self._describe(codec, description)
        if not self._decodable:
            self.counters.awaiting_keyframe += 1
            return
        assert self._format is not None
        if codec is Codec.VP9:
            if not keyframe:
                self._note_layers(data)
            data = self._shown_layer.apply(data)
        if self._format.orientation != self._orientation:
            self._format = replace(self._format, orientation=self._orientation)
        duration = None if self._previous_time_us is None else first.media_time_us - self._previous_time_us
        self._emit(first, last, keyframe, data, self._format, duration, None)

    def _note_layers(self, picture: bytes) -> None:
        """Takes the size of a layer that the encoder added between keyframes, as Chromium does after a
        start."""
        assert self._format is not None
        layers = (picture[-1] & 7) + 1 if picture[-1] & 0xE0 == 0xC0 else 1  # VP9 specification, Annex B
        if layers <= self._format.spatial_layers:
            return
        described = _depacketizer.describe(Codec.VP9, picture)
        if described is None or described.spatial_layers <= self._format.spatial_layers:
            return
        self._format = replace(
            self._format,
            width=max(self._format.width, described.width),
            height=max(self._format.height, described.height),
            spatial_layers=described.spatial_layers,
        )

    def _learn(self, codec: Codec, configuration: bytes) -> None:
        """Keeps the configuration. An SPS replaces everything; a PPS alone is added to it."""
        if not configuration:
            return
        adds = codec is Codec.H264 and _SPS not in _unit_types(configuration)
        if adds and configuration not in self._configuration:
            configuration = self._configuration + configuration
        elif adds:
            return
        if len(configuration) <= MAX_CONFIGURATION_BYTES:
            self._configuration = configuration

    def _with_configuration(self, codec: Codec, data: bytes, own: bytes) -> bytes | None:
        """The keyframe with the configuration inside; None: there is none."""
        if codec is Codec.H264:
            if not {_SPS, _PPS} <= _unit_types(self._configuration):
                return None
            return data if own == self._configuration else self._configuration + data
        if codec is Codec.AV1:
            if not self._configuration:
                return None
            return data if own else data[:2] + self._configuration + data[2:]  # behind the temporal delimiter
        return data

    def _describe(self, codec: Codec, description: _depacketizer.FrameDescription) -> None:
        width, height = description.width, description.height
        if not width and self._format is not None:
            width, height = self._format.width, self._format.height
        elif not width:
            # An H.264 keyframe whose parameter sets came before it.
            before = _depacketizer.describe(codec, self._configuration)
            if before is not None:
                width, height = before.width, before.height
        new = VideoFormat(
            codec, width, height, self._orientation, description.spatial_layers, self._configuration
        )
        if new != self._format:
            self._format = new

    def _emit(
        self,
        first: pb.StreamPacket,
        last: pb.StreamPacket,
        keyframe: bool,
        data: bytes,
        kind: AudioFormat | VideoFormat,
        duration_us: int | None,
        level: int | None,
    ) -> None:
        self.counters.frames += 1
        self._previous_time_us = first.media_time_us
        self._out.append(
            Frame(
                first.media_time_us,
                first.rtp_timestamp,
                keyframe,
                data,
                kind,
                duration_us,
                first.sequence_number,
                last.sequence_number,
                first.synchronised,
                self._lost,
                level,
            )
        )
        self._lost = False
        self._undecodable = None

    def _report(self, reason: UndecodableReason, first: pb.StreamPacket, last: pb.StreamPacket) -> None:
        self.counters.undecodable[reason] += 1
        self._decodable = False
        self._lost = True
        if self._undecodable is reason:
            return
        self._undecodable = reason
        self._out.append(
            Undecodable(reason, first.media_time_us, first.sequence_number, last.sequence_number)
        )
