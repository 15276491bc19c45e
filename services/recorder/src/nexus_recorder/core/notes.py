"""Notes of what happened to a stream, as its segments and the manifest keep it."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

# Maximum number of notes of one segment. More are counted only.
MAX_NOTES: Final = 200


class Note(BaseModel):
    """One thing that happened. Positions are on the timeline of the recording, in microseconds.

    `kind` is `gap` (packets are missing; `reason` says why), `muted`, `unmuted`, `size` (of the picture, from
    here on), `source` (another SSRC or encoding), `undecodable` or `held` (no picture was sent for 2 s or
    longer).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    at_us: int
    to_us: int | None = None
    reason: str = ""
    packets: int = 0
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class NotePad:
    """The notes that belong to the segment that is open, or to the next one."""

    notes: list[Note]
    dropped: int = 0

    @classmethod
    def empty(cls) -> "NotePad":
        return cls([])

    def add(self, note: Note) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(note)
        else:
            self.dropped += 1

    def take(self) -> tuple[tuple[Note, ...], int]:
        """Returns and forgets the notes, with the number of those that were dropped."""
        taken = tuple(self.notes), self.dropped
        self.notes, self.dropped = [], 0
        return taken
