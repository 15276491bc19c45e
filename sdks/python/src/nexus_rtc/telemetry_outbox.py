"""Numbers samples, keeps them until the server has stored them, for a bounded time and in a bounded space,
and packs them into messages. A message declares the series that its samples use, unless an earlier one of the
session did."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nexus.qoe.v1 import telemetry_pb2 as qoe

KEEP_MS: Final = 120_000
"""How long a sample is kept."""

KEEP_BYTES: Final = 256 * 1024
"""Maximum size of all samples that are kept."""

MESSAGE_BYTES: Final = 16 * 1024
"""Maximum size of a message in a session; the server drops larger ones."""


@dataclass(slots=True)
class _Entry:
    sample: qoe.TelemetrySample
    series: Sequence[qoe.TrackSeries]
    at_ms: int
    size: int
    sent: bool = False


class TelemetryOutbox:
    """The samples of one participant."""

    def __init__(self) -> None:
        self.dropped = 0
        """Samples that were dropped before they were stored."""
        self._entries: deque[_Entry] = deque()
        self._declared: dict[int, qoe.TrackSeries] = {}
        self._next_number = 1
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, sample: qoe.TelemetrySample, series: Sequence[qoe.TrackSeries], at_ms: int) -> None:
        """Numbers and keeps a sample. `at_ms` is on the client's monotonic clock."""
        sample.number = self._next_number
        self._next_number += 1
        entry = _Entry(sample, tuple(series), at_ms, sample.ByteSize() + 4)
        self._entries.append(entry)
        self._size += entry.size
        while self._entries and (self._size > KEEP_BYTES or at_ms - self._entries[0].at_ms > KEEP_MS):
            self._forget_oldest()
            self.dropped += 1

    def unsent(self) -> list[qoe.Telemetry]:
        """The messages with the samples that this session has not been sent yet."""
        entries = [entry for entry in self._entries if not entry.sent]
        for entry in entries:
            entry.sent = True
        return self._pack(entries, self._declared, MESSAGE_BYTES)

    def remaining(self, max_bytes: int) -> list[qoe.Telemetry]:
        """Messages with all samples that are kept, for a reader that knows no series yet."""
        return self._pack(self._entries, {}, max_bytes)

    def stored(self, number: int, *, resend: bool) -> None:
        """Forgets the samples up to `number`. With `resend`, the server has not kept those after it."""
        while self._entries and self._entries[0].sample.number <= number:
            self._forget_oldest()
        if resend:
            for entry in self._entries:
                entry.sent = False

    def _forget_oldest(self) -> None:
        self._size -= self._entries.popleft().size

    def _pack(
        self, entries: Iterable[_Entry], declared: dict[int, qoe.TrackSeries], max_bytes: int
    ) -> list[qoe.Telemetry]:
        messages: list[qoe.Telemetry] = []
        message, used, size = qoe.Telemetry(), dict[int, qoe.TrackSeries](), 0
        for entry in entries:
            conflict = any(used.get(one.number, one) != one for one in entry.series)
            declarations = sum(one.ByteSize() + 3 for one in entry.series)
            if message.samples and (conflict or size + entry.size + declarations > max_bytes):
                messages.append(message)
                message, used, size = qoe.Telemetry(), {}, 0
            for one in entry.series:
                used[one.number] = one
                if declared.get(one.number) != one:
                    declared[one.number] = one
                    message.series.append(one)
                    size += one.ByteSize() + 3
            message.samples.append(entry.sample)
            size += entry.size
        if message.samples:
            messages.append(message)
        for packed in messages:
            packed.dropped_samples = self.dropped
        return messages
