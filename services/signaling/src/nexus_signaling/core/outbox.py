"""The bounded queue of frames that one client has yet to be sent.

The queue is bounded by messages and by bytes: a client that does not read costs a known amount of memory
and is then disconnected. Nothing in the middle is ever dropped, since a session with a hole in it is worse
than one that ends and says so.

What brings a client up to date (a join's answer, a snapshot, and the events that the server held back for
them) does not count towards these bounds. The server releases all of it at once, so its size says nothing
about how fast the client reads. These frames have a bound of their own.
"""

from collections import deque

Frame = bytes | str


class Outbox:
    def __init__(self, max_messages: int, max_bytes: int, max_catch_up: int) -> None:
        """`max_catch_up` is the maximum number of frames waiting that were put with `catch_up`."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_catch_up = max_catch_up
        self._frames: deque[tuple[Frame, bool]] = deque()
        self._catch_up = 0
        self._bytes = 0
        self._counted_bytes = 0

    def put(self, frame: Frame, *, catch_up: bool = False) -> bool:
        """Returns False when the frame does not fit; the queue is then unchanged.

        A frame larger than the bound on bytes fits when no other counted frame is waiting, and does not count
        against the frames after it.
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
        """Drops everything and returns how many frames that were."""
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
