"""Joins the two parts of a message above 255 KiB (docs/reference/data.md), in any order of arrival."""

from dataclasses import replace
from typing import Final

from nexus_rtc.data_envelope import DataEnvelope

# Maximum number of incomplete messages. Beyond it the oldest is dropped: its other part was lost, or its
# sender has left.
MAX_UNFINISHED: Final = 64


class DataParts:
    def __init__(self) -> None:
        # By sender and number, oldest first.
        self._unfinished: dict[tuple[bool, str, int], DataEnvelope] = {}

    def take(self, envelope: DataEnvelope) -> DataEnvelope | None:
        """Returns the complete message, or None while a part is missing."""
        part = envelope.part
        if part is None:
            return envelope
        key = (envelope.from_server, envelope.sender, part.number)
        other = self._unfinished.pop(key, None)
        if other is None or other.part is None or other.part.last == part.last:
            self._unfinished[key] = envelope
            if len(self._unfinished) > MAX_UNFINISHED:
                del self._unfinished[next(iter(self._unfinished))]
            return None
        first, last = (other, envelope) if part.last else (envelope, other)
        return replace(first, part=None, payload=first.payload + last.payload)
