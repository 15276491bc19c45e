"""Makes one file from the segments of a plan, which are fetched one after another while it is written."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nexus_frames.formats import Orientation
from nexus_frames.mux import Container, Segment, make_file

from nexus_recorder.core.file_plan import FilePlan, Piece
from nexus_recorder.media.workers import DiskWorkers

Fetch = Callable[[Piece, Path], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Remuxed:
    """The file: its size in bytes, how long it plays, and the intervals of audio that were filled."""

    size: int
    duration_us: int
    filled_us: tuple[tuple[int, int], ...]


class _GivenUp(Exception):
    """The attempt that wanted the file was cancelled."""


class _Fetched:
    """Segments that are on the disk only while they are read. It can be read again from the beginning."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        path: Path,
        fetch: Fetch,
        loop: asyncio.AbstractEventLoop,
        given_up: threading.Event,
    ) -> None:
        self._pieces = pieces
        self._path = path
        self._fetch = fetch
        self._loop = loop
        self._given_up = given_up

    def __iter__(self) -> Iterator[Segment]:
        for piece in self._pieces:
            if self._given_up.is_set():
                raise _GivenUp
            asyncio.run_coroutine_threadsafe(self._bring(piece), self._loop).result()
            yield Segment(str(self._path), piece.shift_us, piece.from_us, piece.to_us)
        self._path.unlink(missing_ok=True)

    async def _bring(self, piece: Piece) -> None:
        await self._fetch(piece, self._path)


async def remux(plan: FilePlan, path: Path, folder: Path, fetch: Fetch, workers: DiskWorkers) -> Remuxed:
    """Writes the file of a plan. `folder` is for one segment of video and one of audio at a time. After a
    cancellation the thread that writes ends at the next segment.

    Raises what `fetch` raises, `nexus_frames.mux.UnreadableSegment`, and OSError.
    """
    loop = asyncio.get_running_loop()
    given_up = threading.Event()
    video = _Fetched(plan.video, folder / "segment.video", fetch, loop, given_up) if plan.video else None
    audio = _Fetched(plan.audio, folder / "segment.audio", fetch, loop, given_up) if plan.audio else None
    try:
        report = await workers.run(
            lambda: make_file(
                path,
                Container(plan.container),
                end_us=plan.end_us,
                video=video,
                audio=audio,
                orientation=Orientation(plan.clockwise, plan.flipped),
            )
        )
    except BaseException:
        given_up.set()
        raise
    return Remuxed(report.size, report.duration_us, report.filled)
