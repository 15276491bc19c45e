"""The marks of the load generator in recorded media: the last bytes of every packet say when it was sent
(`SendStamp` in native/bench/load/load_media.h), so the last bytes of a recorded frame do, too."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

MAGIC: Final = b"NXST"
MARK_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Marked:
    """A frame: when it was sent, by the clock of the sender, and when the file plays it; in microseconds."""

    sent_us: int
    played_us: int


def sent_us(data: bytes) -> int | None:
    """The mark at the end of a frame; None if it has none, such as what the recorder filled in."""
    mark = data[-MARK_BYTES:]
    if len(mark) < MARK_BYTES or mark[:4] != MAGIC:
        return None
    return int.from_bytes(mark[4:], "big")


def marked_frames(path: Path) -> dict[str, list[Marked]]:
    """The marked frames of a file by kind, `audio` and `video`, in the order of the file."""
    found: dict[str, list[Marked]] = {"audio": [], "video": []}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                sent = sent_us(bytes(packet))
                if sent is not None:
                    played = round(packet.pts * packet.time_base * 1_000_000)
                    found[packet.stream.type].append(Marked(sent, played))
    return found


def skews_us(audio: Sequence[Marked], video: Sequence[Marked]) -> list[int]:
    """How much later the file plays each picture than the sound that was sent at the same moment, in
    microseconds. That sound is between the two nearest audio frames."""
    sent = [frame.sent_us for frame in audio]
    skews = []
    for picture in video:
        after = bisect_left(sent, picture.sent_us)
        if 0 < after < len(audio):
            one, two = audio[after - 1], audio[after]
            share = (picture.sent_us - one.sent_us) / max(1, two.sent_us - one.sent_us)
            skews.append(round(picture.played_us - one.played_us - share * (two.played_us - one.played_us)))
    return skews


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values is. `values` must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
