"""Streams for tests and benchmarks: encoded pictures and sounds, and their packets as a tap writes them."""

from nexus_frames.testing.encoded import Encoded, encode_sound, encode_video
from nexus_frames.testing.packets import TrackWriter, packetize

__all__ = ["Encoded", "TrackWriter", "encode_sound", "encode_video", "packetize"]
