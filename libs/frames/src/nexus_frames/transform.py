"""The seam between the packets of a frame and everything that reads the frame."""

from typing import Protocol

from nexus_frames.formats import Codec


class FrameTransform(Protocol):
    """Replaces the bytes of each frame before they are read, for example by decrypting them (E2EE)."""

    def transform(self, codec: Codec, keyframe: bool, data: bytes) -> bytes | None:
        """Returns the frame for the decoder, or None if there is none: the frame is then `Undecodable`."""


class Identity:
    """Leaves frames as they are."""

    def transform(self, codec: Codec, keyframe: bool, data: bytes) -> bytes | None:
        return data
