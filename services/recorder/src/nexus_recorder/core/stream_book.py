"""The streams of a recording: which track continues which stream, and the numbers of their segments."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from nexus_recorder.core.object_names import StreamKey
from nexus_recorder.core.selection import Publication, Publisher

# Maximum number of tracks of one identity, source and name at the same time. A publisher can make no more
# than that many files of it; more tracks are recorded into the last one's parts.
MAX_ORDINAL: Final = 31


@dataclass(slots=True)
class _Stream:
    track_id: str | None = None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    last_us: int = -1


class StreamBook:
    """The streams of one owner."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, _Stream] = {}

    def begin(self, publisher: Publisher, publication: Publication) -> StreamKey:
        """Returns the stream for a track: its own, if it has one; otherwise the first that no other track is
        in."""
        for ordinal in range(MAX_ORDINAL + 1):
            key = StreamKey(publisher.identity, publication.source, publication.name, ordinal)
            stream = self._streams.setdefault(key, _Stream())
            if stream.track_id in (None, publication.track_id) or ordinal == MAX_ORDINAL:
                stream.track_id = publication.track_id
                break
        return key

    def adopt(self, key: StreamKey, track_id: str) -> None:
        """Keeps the stream that an earlier owner has given to a track."""
        self._streams.setdefault(key, _Stream()).track_id = track_id

    def end(self, key: StreamKey, track_id: str) -> None:
        """The stream is free for the next track."""
        stream = self._streams.get(key)
        if stream is not None and stream.track_id == track_id:
            stream.track_id = None

    def wrote(self, key: StreamKey, last_us: int) -> None:
        """Notes how far the stream is."""
        stream = self._streams.setdefault(key, _Stream())
        stream.last_us = max(stream.last_us, last_us)

    def numbers(self, key: StreamKey) -> Iterator[int]:
        """The numbers of the stream's segments, which its tracks share: one may end while the next begins."""
        return self._streams.setdefault(key, _Stream()).numbers

    def last_us(self, key: StreamKey) -> int:
        return self._streams[key].last_us if key in self._streams else -1
