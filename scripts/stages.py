"""Runs named stages one after another and ends with a table. Shared by `make test`, `make check` and others.

A stage is a name and commands. Its output is passed through; the numbers of passed and failed tests are read
from the output of the test runners. A failed stage does not stop the next ones, so that one run shows every
failure.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOBS = os.environ.get("JOBS") or str(os.cpu_count() or 1)
# Folder in which scripts/setup installs node and Go if the machine's own are missing or too old.
BIN = Path(sys.executable).parent
# Maximum time of a command: a hanging test must fail its stage before the CI job reaches its time limit.
STAGE_TIMEOUT_SECONDS = 1800

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Count:
    passed: int = 0
    failed: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed)


Counter = Callable[[str], Count]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a stage. `count` reads the runner's output; without it the command counts as one test."""

    arguments: Sequence[str]
    count: Counter | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """A named list of commands. `preparation` runs before, one command after another. With `parallel`, JOBS
    commands run at a time, and the output of each is shown as a whole."""

    name: str
    commands: Sequence[Command]
    preparation: Sequence[Command] = ()
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    stage: Stage
    count: Count
    seconds: float

    @property
    def failed(self) -> bool:
        return self.count.failed > 0


def _sum(pattern: str, text: str) -> int:
    return sum(int(number) for number in re.findall(pattern, text))


def count_pytest(output: str) -> Count:
    """``3 failed, 112 passed, 1 error in 10.59s``: the last such line."""
    summary = re.compile(r"\b(passed|failed|errors?)\b.* in [\d.]+s")
    lines = [line for line in output.splitlines() if summary.search(line)]
    last = lines[-1] if lines else ""
    return Count(_sum(r"(\d+) passed", last), _sum(r"(\d+) (?:failed|errors?)", last))


def count_vitest(output: str) -> Count:
    """``Tests  1 failed | 34 passed (35)``."""
    lines = "\n".join(line for line in output.splitlines() if re.match(r"\s*Tests\s+\d", line))
    return Count(_sum(r"(\d+) passed", lines), _sum(r"(\d+) failed", lines))


def count_node(output: str) -> Count:
    """``ℹ pass 12`` and ``ℹ fail 0``; ``#`` instead of ``ℹ`` without a terminal."""
    return Count(_sum(r"(?m)^\S+ pass (\d+)$", output), _sum(r"(?m)^\S+ (?:fail|cancelled) (\d+)$", output))


def count_ctest(output: str) -> Count:
    """``100% tests passed, 0 tests failed out of 37``."""
    found = re.findall(r"(\d+) tests? failed out of (\d+)", output)
    return sum((Count(int(total) - int(failed), int(failed)) for failed, total in found), Count())


def count_gtest(output: str) -> Count:
    """``[  PASSED  ] 12 tests.`` and ``[  FAILED  ] 1 test, listed below:``."""
    passed = _sum(r"(?m)^\[  PASSED  \] (\d+) tests?\.", output)
    return Count(passed, _sum(r"(?m)^\[  FAILED  \] (\d+) tests?, listed below", output))


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kills the command and its children, which share its process group."""
    os.killpg(process.pid, 9)


def _execute(command: Command, show: Callable[[str], None]) -> tuple[int, str]:
    show(f"$ {' '.join(command.arguments)}\n")
    process = subprocess.Popen(
        list(command.arguments),
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1", "PATH": f"{BIN}:{os.environ['PATH']}"} | command.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    timer = threading.Timer(STAGE_TIMEOUT_SECONDS, _kill_group, [process])
    timer.start()
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            show(line)
            lines.append(line)
        return process.wait(), _COLOURS.sub("", "".join(lines))
    except KeyboardInterrupt:
        _kill_group(process)
        raise
    finally:
        timer.cancel()


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _test(command: Command, show: Callable[[str], None] = _show) -> Count:
    code, output = _execute(command, show)
    if command.count is None:
        return Count(int(code == 0), int(code != 0))
    count = command.count(output)
    # A crashed runner reports no failure, and one that ran no tests has not passed.
    wrong = code != 0 or count == Count()
    return count + Count(failed=1) if wrong and count.failed == 0 else count


def _test_quietly(command: Command) -> Count:
    output: list[str] = []
    count = _test(command, output.append)
    _show("".join(output))
    return count


def _count_stage(stage: Stage) -> Count:
    for command in stage.preparation:
        code, _ = _execute(command, _show)
        if code != 0:
            return Count(failed=1)
    if not stage.parallel:
        return sum((_test(command) for command in stage.commands), Count())
    with ThreadPoolExecutor(int(JOBS)) as pool:
        return sum(pool.map(_test_quietly, stage.commands), Count())


def _run_stage(stage: Stage, number: int, total: int) -> Outcome:
    print(f"\n━━━ [{number}/{total}] {stage.name} ━━━", flush=True)
    began = time.monotonic()
    count = _count_stage(stage)
    seconds = time.monotonic() - began
    print(f"━━━ {stage.name}: {'FAILED' if count.failed else 'passed'} in {seconds:.0f} s", flush=True)
    return Outcome(stage, count, seconds)


def run(stages: Sequence[Stage]) -> int:
    """Runs the stages (only those named by `STAGES`, if set), prints the table, and returns the exit code."""
    wanted = [name for name in os.environ.get("STAGES", "").split(",") if name]
    unknown = set(wanted) - {stage.name for stage in stages}
    if unknown:
        names = ", ".join(stage.name for stage in stages)
        print(f"unknown stage {', '.join(sorted(unknown))}; choose from: {names}", file=sys.stderr)
        return 2
    chosen = [stage for stage in stages if not wanted or stage.name in wanted]
    outcomes = [_run_stage(stage, number, len(chosen)) for number, stage in enumerate(chosen, 1)]
    return _close(outcomes)


def _close(outcomes: Sequence[Outcome]) -> int:
    width = max((len(outcome.stage.name) for outcome in outcomes), default=5)
    print(f"\n{'stage':<{width}}  {'':6}  {'passed':>6}  {'failed':>6}  {'time':>7}")
    for outcome in outcomes:
        verdict = "FAILED" if outcome.failed else "ok"
        count, seconds = outcome.count, f"{outcome.seconds:.1f} s"
        print(f"{outcome.stage.name:<{width}}  {verdict:6}  {count.passed:6}  {count.failed:6}  {seconds:>7}")
    total = sum((outcome.count for outcome in outcomes), Count())
    last = f"{total.passed} passed, {total.failed} failed"
    print(f"\n{last}", flush=True)
    summary = ROOT / "build" / "summary.txt"
    summary.parent.mkdir(exist_ok=True)
    summary.write_text(last + "\n")
    return 1 if any(outcome.failed for outcome in outcomes) or not outcomes else 0
