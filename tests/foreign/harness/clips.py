"""Encoded media for foreign clients: real VP8, H.264 and Opus, in IVF files for every codec.

No two frames are equal, so that a payload identifies its position in the clip.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av import AudioFrame, CodecContext, VideoFrame
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.video.codeccontext import VideoCodecContext
from nexus_rtc.synthetic import SAMPLE_RATE, SAMPLES_PER_FRAME, Colour, tone

WIDTH: Final = 320
HEIGHT: Final = 180
FRAMES_PER_SECOND: Final = 15
# A keyframe every 2 s: on a keyframe request, a client jumps forward by at most this much, and never back to
# payloads that it has already sent.
GROUP_FRAMES: Final = 30
# Length of a clip: longer than a run with all its jumps.
CLIP_SECONDS: Final = 75
VIDEO_BITS_PER_SECOND: Final = 80_000
AUDIO_BITS_PER_SECOND: Final = 24_000
# The rows of noise, below the half of the picture whose colour identifies the publisher.
NOISE: Final = slice(HEIGHT * 9 // 16, HEIGHT * 11 // 16)

_OPTIONS: Final = {
    "vp8": {"deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0", "auto-alt-ref": "0"},
    "h264": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": f"scenecut=0:keyint={GROUP_FRAMES}:min-keyint={GROUP_FRAMES}:threads=1:slices=1",
    },
}
_ENCODERS: Final = {"vp8": "libvpx", "h264": "libx264"}
_FOURCC: Final = {"vp8": b"VP80", "h264": b"H264", "opus": b"OPUS"}


class Noise:
    """Pictures of one colour with a band of noise that never repeats, and a tone with noise."""

    def __init__(self, colour: Colour, seed: int) -> None:
        self.seed = seed
        flat = np.full((HEIGHT, WIDTH, 3), colour, np.uint8)
        # The planes Y, U and V, one below the other; only Y gets noise.
        self._planes = VideoFrame.from_ndarray(flat, format="rgb24").to_ndarray(format="yuv420p")

    def picture(self, number: int) -> VideoFrame:
        planes = self._planes.copy()
        grain = np.random.default_rng((self.seed, number))
        rows = NOISE.stop - NOISE.start
        blocks = grain.integers(16, 80, (rows // 2 + 1, WIDTH // 8), dtype=np.uint8)
        planes[NOISE] = blocks.repeat(2, axis=0).repeat(8, axis=1)[:rows]
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        frame.time_base = Fraction(1, FRAMES_PER_SECOND)
        return frame

    def sound(self, number: int) -> AudioFrame:
        """20 ms of a tone with noise."""
        first = number * SAMPLES_PER_FRAME
        grain = np.random.default_rng((self.seed, number)).integers(-2000, 2000, SAMPLES_PER_FRAME)
        samples = (tone(300.0 + 50 * self.seed, first) + grain).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = first
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame


def encode_video(codec: str, noise: Noise, frames: int) -> list[bytes]:
    encoder = CodecContext.create(_ENCODERS[codec], "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = Fraction(FRAMES_PER_SECOND)
    encoder.time_base = Fraction(1, FRAMES_PER_SECOND)
    encoder.bit_rate = VIDEO_BITS_PER_SECOND
    encoder.gop_size = GROUP_FRAMES
    encoder.thread_count = 1
    encoder.options = dict(_OPTIONS[codec])
    encoded = [bytes(packet) for number in range(frames) for packet in encoder.encode(noise.picture(number))]
    return encoded + [bytes(packet) for packet in encoder.encode(None)]


def encode_audio(noise: Noise, frames: int) -> list[bytes]:
    encoder = CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = SAMPLE_RATE, "s16", "stereo"
    encoder.bit_rate = AUDIO_BITS_PER_SECOND
    encoder.time_base = Fraction(1, SAMPLE_RATE)
    resampler = AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    encoded: list[bytes] = []
    for number in range(frames):
        for frame in resampler.resample(noise.sound(number)):
            encoded += [bytes(packet) for packet in encoder.encode(frame)]
    return encoded + [bytes(packet) for packet in encoder.encode(None)]


def write_ivf(path: Path, codec: str, rate: int, frames: Sequence[bytes]) -> None:
    """Writes an IVF file whose time base is one frame."""
    fields = (b"DKIF", 0, 32, _FOURCC[codec], WIDTH, HEIGHT, rate, 1, len(frames), 0)
    head = struct.pack("<4sHH4sHHIIII", *fields)
    body = b"".join(struct.pack("<IQ", len(frame), at) + frame for at, frame in enumerate(frames))
    path.write_bytes(head + body)


def make_video(path: Path, codec: str, noise: Noise, seconds: int = CLIP_SECONDS) -> None:
    write_ivf(path, codec, FRAMES_PER_SECOND, encode_video(codec, noise, seconds * FRAMES_PER_SECOND))


def make_audio(path: Path, noise: Noise, seconds: int = CLIP_SECONDS) -> None:
    rate = SAMPLE_RATE // SAMPLES_PER_FRAME
    write_ivf(path, "opus", rate, encode_audio(noise, seconds * rate))


@dataclass(frozen=True, slots=True)
class Clip:
    """An IVF file in memory. `rate` is in frames per second."""

    codec: str
    rate: int
    frames: tuple[bytes, ...]

    def is_keyframe(self, at: int) -> bool:
        frame = self.frames[at]
        if self.codec == "h264":
            return any(unit[:1] and unit[0] & 0x1F == 5 for unit in frame.split(b"\0\0\1"))
        return self.codec == "opus" or frame[0] & 1 == 0

    def next_keyframe(self, at: int) -> int:
        return next(
            place
            for place in (number % len(self.frames) for number in range(at, at + len(self.frames)))
            if self.is_keyframe(place)
        )


def read_ivf(path: Path) -> Clip:
    content = path.read_bytes()
    fourcc, rate = content[8:12], int.from_bytes(content[16:20], "little")
    codec = next(name for name, code in _FOURCC.items() if code == fourcc)
    frames, at = [], 32
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        frames.append(content[at + 12 : at + 12 + size])
        at += 12 + size
    return Clip(codec, rate, tuple(frames))
