"""The bounded queue of what one client has yet to be sent.

Bounded by messages and by bytes: a client that does not read costs a known amount of memory and is then let
go. Nothing in the middle is ever dropped, since a session with a hole in it is worse than one that ends and
says so.
"""

from collections import deque

Frame = bytes | str


class Outbox:
    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def put(self, frame: Frame) -> bool:
        """False when it does not fit; the queue is then unchanged. One message always fits into an empty
        queue."""
        size = len(frame)
        if self._frames and (len(self._frames) >= self._max_messages or self._bytes + size > self._max_bytes):
            return False
        self._frames.append(frame)
        self._bytes += size
        return True

    def pop(self) -> Frame | None:
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        return frame

    def clear(self) -> int:
        """Drops everything; how many that were."""
        dropped = len(self._frames)
        self._frames.clear()
        self._bytes = 0
        return dropped

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes_queued(self) -> int:
        return self._bytes
