"""Bytes from a pipe into lines of text. A child that never ends its line, or writes what is no text, harms
nobody."""

from typing import Final

LONGEST_LINE: Final = 16 * 1024


class LineSplitter:
    """Feed chunks, get whole lines. A line longer than `longest` comes in pieces, so that memory is
    bounded."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        while len(self._rest) > self._longest:
            whole.append(self._rest[: self._longest])
            self._rest = self._rest[self._longest :]
        return [_text(line) for line in whole]

    def finish(self) -> list[str]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
