"""Streams for tests and benchmarks: encoded pictures and sounds, and their packets as a tap writes them."""

from nexus_frames.testing.encoded import Encoded, encode_sound, encode_video
from nexus_frames.testing.ffmpeg import Decoded, decode
from nexus_frames.testing.frames import sound_frames, video_frames
from nexus_frames.testing.packets import TrackWriter, packetize

__all__ = [
    "Decoded",
    "Encoded",
    "TrackWriter",
    "decode",
    "encode_sound",
    "encode_video",
    "packetize",
    "sound_frames",
    "video_frames",
]
