"""Errors of the muxers, by whose fault they are."""

from enum import Enum


class MuxError(Exception):
    """Base of the errors of this package."""


class Mismatch(Enum):
    """Why a frame does not fit into a container that was begun for another."""

    CODEC = "codec"
    ORIENTATION = "orientation"
    STREAM = "stream"
    """The container has no stream of this kind."""
    TIME = "time"
    """The frame was sampled before the origin of the recording."""


class FrameDoesNotFit(MuxError):
    """The frame belongs into another part: the caller closes this one, and begins the next with the frame."""

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(f"the frame does not fit: another {mismatch.value}")
        self.mismatch = mismatch


class UnsupportedContainer(MuxError):
    """The container cannot hold the codec."""

    def __init__(self, container: str, codec: str) -> None:
        super().__init__(f"{container} holds no {codec}")
        self.container = container
        self.codec = codec


class UnreadableSegment(MuxError):
    """A segment that FFmpeg cannot read, or whose streams are not those of the segments before it."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"segment {number}: {reason}")
        self.number = number
        self.reason = reason
