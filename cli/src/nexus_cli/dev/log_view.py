"""One log of several processes. Each line begins with the name of its process, which has its own colour on a
terminal."""

from collections.abc import Iterable
from typing import Final, TextIO

_COLOURS: Final = (36, 33, 35, 32, 34, 96, 93, 95)  # SGR foregrounds, readable on light and dark terminals
_OWN_COLOUR: Final = 1  # bold


class LogView:
    """Writes whole lines to `stream`. Lines that cannot be written, as in `nexus dev | head`, are counted and
    otherwise ignored."""

    def __init__(self, stream: TextIO, names: Iterable[str], *, coloured: bool) -> None:
        self._stream = stream
        self._coloured = coloured
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
        self._width = max((len(name) for name in (*self._colours, "nexus")), default=0)
        self.lost_lines = 0

    @property
    def coloured(self) -> bool:
        return self._coloured

    def line(self, name: str, text: str) -> None:
        label = f"{name:<{self._width}} │"
        if self._coloured:
            label = f"\x1b[{self._colours.get(name, _OWN_COLOUR)}m{label}\x1b[0m"
        try:
            self._stream.write(f"{label} {text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.lost_lines += 1

    def own(self, text: str) -> None:
        """Writes a line of `nexus dev` itself."""
        self.line("nexus", text)
