"""The record of a segment and the journal of an owner: what the manifest is made of.

Both are JSON, in UTF-8. The record of a segment is in the metadata of its object, or beside it if it is long.
A journal has what belongs to no segment: who was there, and which tracks were recorded.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nexus_recorder.core.notes import Note
from nexus_recorder.core.object_names import SegmentName, StreamKey

# Maximum size of a record in the metadata of an object. Stores allow 2 KB with the names, and encode some
# characters as three.
MAX_INLINE_BYTES: Final = 1_400
# Maximum size of a record or journal that is read.
MAX_RECORD_BYTES: Final = 1 << 20

_FROZEN: Final = ConfigDict(frozen=True, extra="ignore")


class SegmentRecord(BaseModel):
    """A segment: what it contains, and where it belongs.

    Positions are on the timeline of the recording, in microseconds; `end_us` is behind the last sample.
    `line` is the node's line of media time, and `first_record`, `last_record` are the positions of the tap
    that it covers. `keyframe`: a decoder can start at its beginning. Sizes are in pixels, before the
    rotation.
    """

    model_config = _FROZEN

    identity: str
    source: int
    name: str = ""
    ordinal: int = 0
    participant_id: str = ""
    track_id: str = ""
    line: str = ""
    epoch: int
    number: int
    start_us: int
    end_us: int
    codec: Literal["opus", "vp8", "vp9", "h264", "av1"]
    container: Literal["mp4", "webm"]
    keyframe: bool = True
    width: int = 0
    height: int = 0
    clockwise: int = 0
    flipped: bool = False
    frames: int = 0
    bytes: int = 0
    sha256: str = ""
    first_record: int = 0
    last_record: int = 0
    notes: tuple[Note, ...] = ()
    notes_dropped: int = 0
    recovered: bool = False
    """It was completed by a later owner from the spool of one that had died."""

    @property
    def stream(self) -> StreamKey:
        return StreamKey(self.identity, self.source, self.name, self.ordinal)

    @property
    def segment_name(self) -> SegmentName:
        return SegmentName(
            self.stream.id,
            self.epoch,
            self.number,
            self.start_us,
            max(0, self.end_us - self.start_us),
            self.container,
        )

    def to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True)


class TrackEntry(BaseModel):
    """A track that was selected, from then on until it ended or was selected no longer."""

    model_config = _FROZEN

    kind: Literal["track"] = "track"
    identity: str
    source: int
    name: str = ""
    ordinal: int = 0
    participant_id: str
    participant_name: str = ""
    track_id: str
    media: Literal["audio", "video"]
    from_us: int
    to_us: int | None = None
    end_reason: str = ""
    frames: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def stream(self) -> StreamKey:
        return StreamKey(self.identity, self.source, self.name, self.ordinal)


class LineEntry(BaseModel):
    """The clock of a node: `position = media_time - offset_us`."""

    model_config = _FROZEN

    kind: Literal["line"] = "line"
    line: str
    offset_us: int
    from_us: int


class OwnerEntry(BaseModel):
    """An owner began or ended its part of the recording."""

    model_config = _FROZEN

    kind: Literal["owner"] = "owner"
    epoch: int
    at_us: int
    event: Literal["began", "ended"]
    reason: str = ""


class PauseEntry(BaseModel):
    """Nothing was received from one position to the other; no end: until the recording ended."""

    model_config = _FROZEN

    kind: Literal["pause"] = "pause"
    from_us: int
    to_us: int | None = None


Entry = TrackEntry | LineEntry | OwnerEntry | PauseEntry


class Journal(BaseModel):
    """Entries of one owner. A later entry of a track with the same beginning replaces the earlier one."""

    model_config = _FROZEN

    epoch: int
    number: int
    entries: tuple[Entry, ...] = ()


def read_record(text: str | bytes) -> SegmentRecord | None:
    """Reads a record; None if it is none, because it was changed in the store."""
    if len(text) > MAX_RECORD_BYTES:
        return None
    try:
        return SegmentRecord.model_validate_json(text)
    except ValidationError:
        return None


def read_journal(text: str | bytes) -> Journal | None:
    """Reads a journal; None if it is none."""
    if len(text) > MAX_RECORD_BYTES:
        return None
    try:
        return Journal.model_validate_json(text)
    except ValidationError:
        return None
