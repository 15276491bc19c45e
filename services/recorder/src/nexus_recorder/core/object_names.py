"""The names of a recording's own objects, from which it can be put together again.

    <root>/<app>/<recording id>/epochs/<epoch>                    claims of the owners
                                /segments/<stream>/<epoch>-<number>-<start µs>-<duration µs>.<mp4|webm>
                                /segments/<stream>/….json          the record of the segment before it, if it
                                is long
                                /journal/<epoch>-<number>.json
                                /made/<hash>.json                     a file that was made, until all are
                                /manifest.json

Numbers have leading zeros, so that a listing is in the order of epoch and number. The files have names of
their own, from the key template of the recording.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

# The first part of the keys, beside which a key template cannot write.
ROOT: Final = "nexus-recordings"
# The largest epoch and number that a name has room for.
MAX_NUMBER: Final = 99_999_999

_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME: Final = re.compile(
    r"(?P<epoch>\d{8})-(?P<number>\d{8})-(?P<start>\d{15})-(?P<duration>\d{1,12})\.(?P<extension>mp4|webm)"
)
_JOURNAL: Final = re.compile(r"(?P<epoch>\d{8})-(?P<number>\d{8})\.json")


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One stream of segments: the tracks of one identity with the same source and name, one after
    another, also across rejoins and nodes. `ordinal` is 0, and counts up for tracks that exist at the same
    time."""

    identity: str
    source: int
    name: str = ""
    ordinal: int = 0

    @property
    def id(self) -> str:
        """16 hexadecimal digits, the same for every owner of the recording."""
        text = f"{len(self.identity)}:{self.identity}{self.source}:{len(self.name)}:{self.name}{self.ordinal}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """The name of a segment. Times are positions on the timeline of the recording, in microseconds."""

    stream: str
    epoch: int
    number: int
    start_us: int
    duration_us: int
    extension: str

    @property
    def text(self) -> str:
        """The part of the key behind `segments/`."""
        file = f"{self.epoch:08d}-{self.number:08d}-{self.start_us:015d}-{self.duration_us}.{self.extension}"
        return f"{self.stream}/{file}"

    @classmethod
    def parse(cls, text: str) -> "SegmentName | None":
        """Reads `<stream>/<file>`; None for anything else, such as an object of another origin."""
        stream, _, file = text.partition("/")
        found = _NAME.fullmatch(file)
        if found is None or not re.fullmatch(r"[0-9a-f]{16}", stream):
            return None
        return cls(
            stream,
            int(found["epoch"]),
            int(found["number"]),
            int(found["start"]),
            int(found["duration"]),
            found["extension"],
        )


def safe_part(part: str) -> str:
    """A name that is a part of a key: as it is, or its hash if a key has no room for it."""
    if _SAFE.fullmatch(part):
        return part
    return "x" + hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ObjectNames:
    """The keys of one recording."""

    app: str
    recording_id: str

    @property
    def prefix(self) -> str:
        """The prefix of all of them, with a slash at its end."""
        return f"{ROOT}/{safe_part(self.app)}/{safe_part(self.recording_id)}/"

    @property
    def segments(self) -> str:
        return self.prefix + "segments/"

    @property
    def journals(self) -> str:
        return self.prefix + "journal/"

    @property
    def epochs(self) -> str:
        return self.prefix + "epochs/"

    def temporary(self, *, keep_segments: bool) -> tuple[str, ...]:
        """The prefixes of what is removed when the manifest is there. Without the journals, segments that are
        kept would not say what happened."""
        made = self.prefix + "made/"
        return (made,) if keep_segments else (made, self.segments, self.journals, self.epochs)

    @property
    def manifest(self) -> str:
        return self.prefix + "manifest.json"

    def segment(self, name: SegmentName) -> str:
        return self.segments + name.text

    def record(self, name: SegmentName) -> str:
        """The object beside a segment whose record does not fit into its metadata."""
        return self.segment(name) + ".json"

    def journal(self, epoch: int, number: int) -> str:
        return f"{self.journals}{epoch:08d}-{number:08d}.json"

    def made(self, source_hash: str) -> str:
        """The description of a file that was made from these segments, until all files are made."""
        return f"{self.prefix}made/{source_hash}.json"

    def claim(self, epoch: int) -> str:
        return f"{self.epochs}{epoch:08d}"

    def parse_segment(self, key: str) -> SegmentName | None:
        return SegmentName.parse(key.removeprefix(self.segments)) if key.startswith(self.segments) else None

    def parse_journal(self, key: str) -> tuple[int, int] | None:
        """Epoch and number of a journal."""
        found = _JOURNAL.fullmatch(key.removeprefix(self.journals)) if key.startswith(self.journals) else None
        return (int(found["epoch"]), int(found["number"])) if found else None

    def parse_claim(self, key: str) -> int | None:
        rest = key.removeprefix(self.epochs) if key.startswith(self.epochs) else ""
        return int(rest) if re.fullmatch(r"\d{8}", rest) else None
