"""The bounded queue of frames that wait to be sent to one client.

The queue is bounded in messages and bytes: a client that does not read uses a limited amount of memory and is
then disconnected. Frames are never dropped from the middle, because an incomplete session is worse than one
that ends with an error.

Frames that bring a client up to date (a join's answer, a snapshot, and the events held for them) do not count
towards these bounds. The server queues all of them at once, so their size says nothing about how fast the
client reads. These frames have their own bound.
"""

from collections import deque

Frame = bytes | str


class Outbox:
    def __init__(self, max_messages: int, max_bytes: int, max_catch_up: int) -> None:
        """`max_catch_up` is the maximum number of queued frames that were put with `catch_up`."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_catch_up = max_catch_up
        self._frames: deque[tuple[Frame, bool]] = deque()
        self._catch_up = 0
        self._bytes = 0
        self._counted_bytes = 0

    def put(self, frame: Frame, *, catch_up: bool = False) -> bool:
        """Queues a frame. Returns False, and leaves the queue unchanged, if it does not fit.

        A frame larger than the bound in bytes fits if no other counted frame is queued, and does not count
        against later frames.
        """
        if catch_up:
            if self._catch_up >= self._max_catch_up:
                return False
            self._catch_up += 1
        else:
            size = self._counted_size(frame)
            counted = len(self._frames) - self._catch_up
            if counted >= self._max_messages or self._counted_bytes + size > self._max_bytes:
                return False
            if len(frame) > self._max_bytes and counted > 0:
                return False
            self._counted_bytes += size
        self._frames.append((frame, catch_up))
        self._bytes += len(frame)
        return True

    def pop(self) -> Frame | None:
        if not self._frames:
            return None
        frame, catch_up = self._frames.popleft()
        self._bytes -= len(frame)
        if catch_up:
            self._catch_up -= 1
        else:
            self._counted_bytes -= self._counted_size(frame)
        return frame

    def clear(self) -> int:
        """Drops all frames and returns their number."""
        dropped = len(self._frames)
        self._frames.clear()
        self._catch_up = self._bytes = self._counted_bytes = 0
        return dropped

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes_queued(self) -> int:
        return self._bytes

    def _counted_size(self, frame: Frame) -> int:
        return len(frame) if len(frame) <= self._max_bytes else 0
