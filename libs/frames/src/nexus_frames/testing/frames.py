"""Frames of one track as its assembler returns them."""

from collections.abc import Iterable

from nexus_frames.assembler import FrameAssembler
from nexus_frames.events import Frame
from nexus_frames.formats import Codec
from nexus_frames.testing.encoded import encode_sound, encode_video
from nexus_frames.testing.packets import TrackWriter


def video_frames(
    codec: Codec,
    times_us: Iterable[int],
    *,
    width: int = 160,
    height: int = 96,
    keyframe_every: int = 30,
    orientation: int | None = None,
) -> list[Frame]:
    """One frame for each time."""
    times = list(times_us)
    writer = TrackWriter(codec)
    writer.source()
    encoded = encode_video(codec, len(times), width=width, height=height, keyframe_every=keyframe_every)
    for frame, time_us in zip(encoded, times, strict=True):
        writer.frame(frame.data, time_us, keyframe=frame.keyframe, orientation=orientation)
    return [event for event in FrameAssembler().add(writer.take()) if isinstance(event, Frame)]


def sound_frames(times_us: Iterable[int]) -> list[Frame]:
    """One Opus packet of 20 ms for each time."""
    times = list(times_us)
    writer = TrackWriter(Codec.OPUS)
    writer.source()
    for sound, time_us in zip(encode_sound(len(times)), times, strict=True):
        writer.frame(sound, time_us)
    return [event for event in FrameAssembler().add(writer.take()) if isinstance(event, Frame)]
