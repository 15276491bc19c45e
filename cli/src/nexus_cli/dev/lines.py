"""Splits the bytes of a pipe into lines of text, robust against endless lines and invalid UTF-8."""

from typing import Final

LONGEST_LINE: Final = 16 * 1024


class LineSplitter:
    """Turns chunks into whole lines. A line longer than `longest` bytes is split, so that memory is
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
        """Returns the last line if it did not end with a newline."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
