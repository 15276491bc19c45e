"""Joins the two parts in which a message beyond 255 KiB travels (docs/reference/data.md), in whatever order
they come.
"""

from dataclasses import replace
from typing import Final

from nexus_rtc.data_envelope import DataEnvelope

# Messages of which one part has come. Beyond, the oldest is given up: one that may be lost was, or its sender
# is gone.
MAX_UNFINISHED: Final = 64


class DataParts:
    def __init__(self) -> None:
        # By sender and number; in the order in which they began.
        self._unfinished: dict[tuple[bool, str, int], DataEnvelope] = {}

    def take(self, envelope: DataEnvelope) -> DataEnvelope | None:
        """The whole message; None while a part is missing."""
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
