"""Streams for FFmpeg's muxers, made from a format alone.

PyAV creates an output stream from an encoder or from another stream. Nothing is encoded here, so the other
stream comes from a Matroska header without frames (RFC 9559), which carries a codec, a size and the decoder's
configuration.
"""

import io
import struct
from functools import lru_cache

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from nexus_frames.formats import SAMPLE_RATE, AudioFormat, Codec, Orientation, VideoFormat
from nexus_frames.mux.containers import AUDIO_TIME_BASE, VIDEO_TIME_BASE

_CODEC_IDS = {
    Codec.OPUS: b"A_OPUS",
    Codec.VP8: b"V_VP8",
    Codec.VP9: b"V_VP9",
    Codec.H264: b"V_MPEG4/ISO/AVC",
    Codec.AV1: b"V_AV1",
}


def _element(name: int, payload: bytes) -> bytes:
    """An EBML element (RFC 8794) with a size of eight bytes."""
    head = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return head + (1 << 56 | len(payload)).to_bytes(8, "big") + payload


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def _matroska(codec: Codec, configuration: bytes, details: bytes) -> bytes:
    head = _element(0x4282, b"matroska") + _number(0x4287, 4) + _number(0x4285, 2)
    kind = 1 if codec.is_video else 2
    track = _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, kind) + _element(0x86, _CODEC_IDS[codec])
    if configuration:
        track += _element(0x63A2, configuration)
    tracks = _element(0x1654AE6B, _element(0xAE, track + details))
    information = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))
    cluster = _element(0x1F43B675, _number(0xE7, 0))
    return _element(0x1A45DFA3, head) + _element(0x18538067, information + tracks + cluster)


def _opus_head(channels: int) -> bytes:
    """RFC 7845 section 5.1. No samples are skipped at the start: a recording begins within a call, and its
    time line is that of the call."""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, SAMPLE_RATE, 0, 0)


def _open(header: bytes) -> InputContainer:
    return av.open(io.BytesIO(header), "r", format="matroska")


@lru_cache(maxsize=8)
def _audio_template(channels: int) -> InputContainer:
    sound = _element(0xB5, struct.pack(">d", float(SAMPLE_RATE))) + _number(0x9F, channels)
    return _open(_matroska(Codec.OPUS, _opus_head(channels), _element(0xE1, sound)))


@lru_cache(maxsize=256)
def _video_template(codec: Codec, width: int, height: int, configuration: bytes) -> InputContainer:
    size = _number(0xB0, width) + _number(0xBA, height)
    return _open(_matroska(codec, configuration, _element(0xE0, size)))


def add_audio(output: OutputContainer, audio: AudioFormat) -> AudioStream:
    stream = output.add_stream_from_template(_audio_template(audio.channels).streams.audio[0], opaque=True)
    stream.time_base = AUDIO_TIME_BASE
    return stream


def add_video(output: OutputContainer, video: VideoFormat) -> VideoStream:
    template = _video_template(video.codec, video.width, video.height, video.configuration)
    stream = output.add_stream_from_template(template.streams.video[0], opaque=True)
    stream.time_base = VIDEO_TIME_BASE
    orient(stream, video.orientation)
    return stream


def orient(stream: VideoStream, orientation: Orientation) -> None:
    """MP4 stores the orientation in the track's matrix, WebM in the projection's roll.

    FFmpeg mirrors behind the turn; mirroring in front of a turn by an angle is mirroring behind a turn by the
    opposite angle.
    """
    if orientation == Orientation():
        return
    counter_clockwise = orientation.clockwise if orientation.flipped else -orientation.clockwise
    stream.set_display_rotation(counter_clockwise, hflip=orientation.flipped)
