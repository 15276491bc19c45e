"""Output of stages that run.

While one stage runs at a time, its output is passed through as it comes (`live`). While several run beside
each other, the output of each is shown as a whole when it ends, and `progress` tells what runs. A log file
for each stage grows in both cases, so that `tail -f` can follow it, and a run that was cut off leaves
something to read.
"""

import contextlib
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from commands import Show

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def without_colours(text: str) -> str:
    return _COLOURS.sub("", text)


class Display:
    """Output of the stages that run, on the terminal and in one file for each in the folder `logs`."""

    def __init__(self, logs: Path, live: bool) -> None:
        self._logs = logs
        self._live = live
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}

    @contextlib.contextmanager
    def stage(self, name: str, title: str) -> Iterator[Show]:
        """Shows the title of a stage, and the output that it gives to the function that this returns."""
        log = self._logs / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            with self._lock:
                self._running[name] = (time.monotonic(), "")
                self._print(f"\n━━━ {title} ━━━" if self._live else f"━━━ {title}: begun")
            try:
                yield lambda text: self._take(name, file, text)
            finally:
                with self._lock:
                    del self._running[name]
                    if not self._live:
                        self._print(f"\n━━━ {title} ━━━\n{log.read_text(errors='replace')}")

    def print(self, line: str) -> None:
        with self._lock:
            self._print(line)

    def progress(self) -> None:
        """Prints one line for each stage that runs, with its last line of output."""
        with self._lock:
            for name, (began, last) in self._running.items():
                self._print(f"  … {name}, {time.monotonic() - began:.0f} s: {last[:100]}")

    def _take(self, name: str, file: TextIO, text: str) -> None:
        with self._lock:
            file.write(text)
            file.flush()
            began, last = self._running[name]
            lines = without_colours(text).strip().splitlines()
            self._running[name] = (began, lines[-1] if lines else last)
            if self._live:
                sys.stdout.write(text)
                sys.stdout.flush()

    @staticmethod
    def _print(text: str) -> None:
        print(text, flush=True)
