"""Real payloads, encoded by FFmpeg's encoders with the settings of a call: no look-ahead, no B-frames."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from av import AudioFrame, CodecContext, VideoFrame
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext

from nexus_frames.formats import SAMPLE_RATE, Codec

_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.VP9: ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.H264: ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    Codec.AV1: ("libsvtav1", {"preset": "12", "svtav1-params": "rc=2:rtc=1:pred-struct=1:lp=1"}),
}


@dataclass(frozen=True, slots=True)
class Encoded:
    data: bytes
    keyframe: bool


@lru_cache
def encode_video(
    codec: Codec,
    frames: int,
    *,
    width: int = 160,
    height: int = 96,
    keyframe_every: int = 30,
    bitrate_bps: int = 200_000,
) -> tuple[Encoded, ...]:
    """A moving pattern at 30 frames per second, one entry per frame. H.264 is in Annex B form."""
    name, options = _ENCODERS[codec]
    encoder = CodecContext.create(name, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.framerate = Fraction(30)
    encoder.bit_rate = bitrate_bps
    encoder.gop_size = keyframe_every
    encoder.options = options
    rows, columns = np.indices((height, width))
    packets = []
    for number in range(frames):
        planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        planes[:height] = (rows + columns + 3 * number) % 256
        picture = VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts = number
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    assert len(packets) == frames
    return tuple(Encoded(bytes(packet), packet.is_keyframe) for packet in packets)


@lru_cache
def encode_sound(packets: int, *, hertz: int = 440) -> tuple[bytes, ...]:
    """Opus packets of 20 ms with a tone."""
    encoder = CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"
    encoder.bit_rate = 32_000
    encoder.options = {"application": "voip", "frame_duration": "20"}
    samples = SAMPLE_RATE // 50
    found: list[bytes] = []
    number = 0
    while len(found) < packets:
        times = np.arange(number * samples, (number + 1) * samples) / SAMPLE_RATE
        wave = (np.sin(2 * np.pi * hertz * times) * 8_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * samples
        found += [bytes(packet) for packet in encoder.encode(frame)]
        number += 1
    return tuple(found[:packets])
