"""Commands in process groups of their own, so that none of their processes outlives the runner."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from counts import Counter

# Folder in which scripts/setup installs node and Go if the machine's own are missing or too old.
BIN = Path(sys.executable).parent
# Maximum time of a command: a hanging test must fail its stage before the CI job reaches its time limit.
TIMEOUT_SECONDS = 1800

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a stage. `count` reads the runner's output; without it the command counts as one test."""

    arguments: Sequence[str]
    count: Counter | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a command: its exit code (negative: the signal), its output, and the CPU time of its
    processes in seconds, without those that it leaves to init."""

    code: int
    output: str
    cpu_seconds: float


def yield_to_other_sessions(process: int, nice: int) -> None:
    """Gives the session of a process this niceness. On kernels that group processes by session (sched(7),
    autogroup), the niceness of a process counts only within its session."""
    with contextlib.suppress(OSError):  # no such file without autogroups; and the process may have ended
        Path(f"/proc/{process}/autogroup").write_text(str(nice))


class ProcessGroups:
    """Runs commands, from several threads at once, and can end all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._closed = False

    def run(self, command: Command, folder: Path, show: Show, nice: int = 0) -> Ended:
        """Runs a command to its end and shows each line of output as it comes. `nice` is added to the
        niceness of the runner. Raises RuntimeError after `close`."""
        show(f"$ {' '.join(command.arguments)}\n")
        process = self._start(command, folder, nice)
        timer = threading.Timer(TIMEOUT_SECONDS, self._kill, [process.pid])
        timer.start()
        lines: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                show(line)
                lines.append(line)
        except BaseException:
            self._kill(process.pid)
            raise
        finally:
            code, cpu_seconds = self._reap(process)
            timer.cancel()
        return Ended(code, "".join(lines), cpu_seconds)

    def close(self) -> None:
        """Kills all commands that run, and lets no further one start."""
        with self._lock:
            self._closed = True
            for group in self._running:
                os.killpg(group, 9)

    def _start(self, command: Command, folder: Path, nice: int) -> subprocess.Popen[str]:
        prefix = ["nice", "-n", str(nice)] if nice else []
        with self._lock:
            if self._closed:
                raise RuntimeError("the run was stopped")
            process = subprocess.Popen(
                [*prefix, *command.arguments],
                cwd=folder,
                env=os.environ
                | {"NO_COLOR": "1", "PATH": f"{BIN}:{os.environ['PATH']}"}
                | command.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process.pid)
        if nice:
            yield_to_other_sessions(process.pid, nice)
        return process

    def _kill(self, group: int) -> None:
        with self._lock:
            if group in self._running:
                os.killpg(group, 9)

    def _reap(self, process: subprocess.Popen[str]) -> tuple[int, float]:
        """Waits without reaping first, so that no other process can have this id while it may be killed."""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._running.discard(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode, usage.ru_utime + usage.ru_stime
