"""Finds how much of a segment can be played after a crash.

A machine that dies while a fragment is being written leaves a part of it. FFmpeg refuses an MP4 file whose
last `moof` is cut off, so what is not whole is left out. Nothing is lost by that, because the position behind
the fragment was not acknowledged.
"""

import io
import os
from typing import BinaryIO

from nexus_frames.mux.containers import Container

_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
_UNKNOWN = -1


def playable_size(file: BinaryIO, container: Container) -> int:
    """The number of bytes up to the end of the last whole fragment; 0: there is none.

    The position in the file changes. Ogg pages are found by their decoder: all of the file counts.
    """
    size = file.seek(0, os.SEEK_END)
    if container is Container.MP4:
        return _whole_fragments(file, size)
    if container is Container.WEBM:
        return _whole_clusters(file, size)
    return size


def _whole_fragments(file: BinaryIO, size: int) -> int:
    """ISO/IEC 14496-12 section 4.2: boxes of a size (32) and a type; a fragment is `moof` and `mdat`."""
    at = end = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or at + length > size:
            break
        at += length
        if kind == b"mdat":
            end = at
    return end


def _whole_clusters(file: BinaryIO, size: int) -> int:
    """RFC 8794: elements of a name and a size; the segment's own size is unknown while it grows."""
    at = end = 0
    while at < size:
        file.seek(at)
        name, length, head = _element(file.read(12))
        if name == _SEGMENT:
            at += head
            continue
        if head == 0 or length == _UNKNOWN or at + head + length > size:
            break
        at += head + length
        if name == _CLUSTER:
            end = at
    return end


def _element(data: bytes) -> tuple[int, int, int]:
    """Name, size and number of bytes of both; zero bytes: it is none."""
    reader = io.BytesIO(data)
    values = []
    for keep_marker, longest in ((True, 4), (False, 8)):
        first = reader.read(1)
        length = 9 - first[0].bit_length() if first else 9
        if length > longest:
            return 0, 0, 0
        rest = reader.read(length - 1)
        if len(rest) < length - 1:
            return 0, 0, 0
        value = int.from_bytes(first + rest, "big")
        if not keep_marker:
            value -= 1 << 7 * length
            value = _UNKNOWN if value == (1 << 7 * length) - 1 else value
        values.append(value)
    return values[0], values[1], reader.tell()
