"""Runs named stages and ends with a table. Shared by `make test`, `make check` and others.

A stage is a name and commands. The numbers of passed and failed tests are read from the output of the test
runners. A failed stage does not stop the next ones, so that one run shows every failure.

Stages run one after another. With LANES=2, only the stages of a lane do, and the two lanes run beside each
other. scripts/display.py says what is shown of them.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from commands import Command, ProcessGroups, Show
from counts import Count
from display import Display, without_colours

ROOT = Path(__file__).resolve().parent.parent
JOBS = os.environ.get("JOBS") or str(os.cpu_count() or 1)
# Interval between two lines that tell what runs, while several lanes run.
PROGRESS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Lane:
    """Stages that run one after another. `nice` is added to the niceness of its commands while another lane
    runs beside it."""

    name: str
    nice: int = 0


# Compilers and tests in emulated time. They take the processor time that the calls leave.
COMPUTE = Lane("compute", nice=10)
# Calls in real time, which wait most of the time and must not be kept waiting.
CALLS = Lane("calls")


@dataclass(frozen=True, slots=True)
class Stage:
    """A named list of commands. `preparation` runs before, one command after another. With `parallel`, JOBS
    commands run at a time, and the output of each is shown as a whole."""

    name: str
    commands: Sequence[Command]
    preparation: Sequence[Command] = ()
    parallel: bool = False
    lane: Lane = COMPUTE


@dataclass(frozen=True, slots=True)
class Result:
    count: Count = field(default_factory=Count)
    cpu_seconds: float = 0.0

    def __add__(self, other: "Result") -> "Result":
        return Result(self.count + other.count, self.cpu_seconds + other.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    stage: Stage
    result: Result
    seconds: float

    @property
    def failed(self) -> bool:
        return self.result.count.failed > 0

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failed else "passed"


class _StageRun:
    """One stage while it runs: where its commands run, and where their output goes."""

    def __init__(self, stage: Stage, groups: ProcessGroups, nice: int, show: Show) -> None:
        self._stage = stage
        self._groups = groups
        self._nice = nice
        self._show = show

    def result(self) -> Result:
        prepared = Result()
        for command in self._stage.preparation:
            ended = self._groups.run(command, ROOT, self._show, self._nice)
            prepared += Result(cpu_seconds=ended.cpu_seconds)
            if ended.code != 0:
                return prepared + Result(Count(failed=1))
        if not self._stage.parallel:
            return sum((self._test(command, self._show) for command in self._stage.commands), prepared)
        with ThreadPoolExecutor(int(JOBS)) as pool:
            try:
                return sum(pool.map(self._test_quietly, self._stage.commands), prepared)
            except BaseException:  # the pool waits for its threads, and they for their commands
                self._groups.close()
                raise

    def _test(self, command: Command, show: Show) -> Result:
        ended = self._groups.run(command, ROOT, show, self._nice)
        if command.count is None:
            return Result(Count(int(ended.code == 0), int(ended.code != 0)), ended.cpu_seconds)
        count = command.count(without_colours(ended.output))
        # A crashed runner reports no failure, and one that ran no tests has not passed.
        if (ended.code != 0 or count == Count()) and count.failed == 0:
            count += Count(failed=1)
        return Result(count, ended.cpu_seconds)

    def _test_quietly(self, command: Command) -> Result:
        output: list[str] = []
        result = self._test(command, output.append)
        self._show("".join(output))
        return result


class _Lanes:
    """The chosen stages in their lanes."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        lanes = list(dict.fromkeys(stage.lane for stage in stages))
        self._lanes = lanes if os.environ.get("LANES", "1") != "1" else [Lane("all")]
        self._groups = ProcessGroups()
        self._display = Display(ROOT / "build" / "logs", live=len(self._lanes) <= 1)

    def run(self) -> list[Outcome]:
        """Runs all stages, and returns their outcomes in the order of the stages."""
        if len(self._lanes) <= 1:
            return self._run_lane(self._stages, nice=0)
        with ThreadPoolExecutor(len(self._lanes)) as pool:
            futures = [pool.submit(self._run_lane, self._of(lane), lane.nice) for lane in self._lanes]
            ended = threading.Event()
            teller = threading.Thread(target=self._tell_progress, args=[ended])
            teller.start()
            try:
                outcomes = [outcome for future in futures for outcome in future.result()]
            finally:
                ended.set()
                self._groups.close()
        order = [stage.name for stage in self._stages]
        return sorted(outcomes, key=lambda outcome: order.index(outcome.stage.name))

    def _of(self, lane: Lane) -> list[Stage]:
        return [stage for stage in self._stages if stage.lane == lane]

    def _tell_progress(self, ended: threading.Event) -> None:
        while not ended.wait(PROGRESS_SECONDS):
            self._display.progress()

    def _run_lane(self, stages: Sequence[Stage], nice: int) -> list[Outcome]:
        try:
            return [self._run_stage(stage, nice) for stage in stages]
        except BaseException:
            self._groups.close()
            raise

    def _run_stage(self, stage: Stage, nice: int) -> Outcome:
        number = self._stages.index(stage) + 1
        began = time.monotonic()
        with self._display.stage(stage.name, f"[{number}/{len(self._stages)}] {stage.name}") as show:
            result = _StageRun(stage, self._groups, nice, show).result()
        outcome = Outcome(stage, result, time.monotonic() - began)
        self._display.print(f"━━━ {stage.name}: {outcome.verdict} in {outcome.seconds:.0f} s")
        return outcome


def run(stages: Sequence[Stage]) -> int:
    """Runs the stages (only those named by `STAGES`, if set), prints the table, and returns the exit code."""
    wanted = [name for name in os.environ.get("STAGES", "").split(",") if name]
    unknown = set(wanted) - {stage.name for stage in stages}
    if unknown:
        names = ", ".join(stage.name for stage in stages)
        print(f"unknown stage {', '.join(sorted(unknown))}; choose from: {names}", file=sys.stderr)
        return 2
    chosen = [stage for stage in stages if not wanted or stage.name in wanted]
    return _close(_Lanes(chosen).run())


def _close(outcomes: Sequence[Outcome]) -> int:
    width = max((len(outcome.stage.name) for outcome in outcomes), default=5)
    print(f"\n{'stage':<{width}}  {'':6}  {'passed':>6}  {'failed':>6}  {'time':>8}  {'CPU time':>8}")
    for outcome in outcomes:
        verdict = "FAILED" if outcome.failed else "ok"
        count, times = outcome.result.count, f"{outcome.seconds:6.1f} s  {outcome.result.cpu_seconds:6.1f} s"
        print(f"{outcome.stage.name:<{width}}  {verdict:6}  {count.passed:6}  {count.failed:6}  {times}")
    total = sum((outcome.result.count for outcome in outcomes), Count())
    last = f"{total.passed} passed, {total.failed} failed"
    print(f"\n{last}", flush=True)
    summary = ROOT / "build" / "summary.txt"
    summary.parent.mkdir(exist_ok=True)
    summary.write_text(last + "\n")
    return 1 if any(outcome.failed for outcome in outcomes) or not outcomes else 0
