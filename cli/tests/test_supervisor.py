"""The supervisor with idle child processes: order, exits, deadlines and signals."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nexus_cli.dev.log_view import LogView
from nexus_cli.dev.supervisor import Environment, NeverReady, Stage, Supervisor
from nexus_testkit import wait_until

FAKE = str(Path(__file__).with_name("fake_child.py"))


def stage(name: str, *orders: str, adds: Environment | None = None) -> Stage:
    async def started() -> Environment:
        return adds or {}

    return Stage(name, [sys.executable, FAKE, name, *orders], started=started)


class Run:
    """One supervisor and its log."""

    def __init__(self, stop_seconds: float = 20.0) -> None:
        self.stream = io.StringIO()
        self.supervisor = Supervisor(
            LogView(self.stream, ["one", "two", "three"], coloured=False), stop_seconds=stop_seconds
        )
        self.ready_with: Environment | None = None

    @property
    def log(self) -> str:
        return self.stream.getvalue()

    async def ready(self, environment: Environment) -> None:
        self.ready_with = environment

    async def until(self, text: str) -> None:
        await wait_until(lambda: text in self.log, 20, text)

    async def run(self, *stages: Stage) -> int:
        return await self.supervisor.run(stages, self.ready)


async def test_children_start_in_order_and_stop_in_the_opposite_order() -> None:
    run = Run()
    running = asyncio.create_task(run.run(stage("one"), stage("two"), stage("three")))
    for name in ("one", "two", "three"):
        await run.until(f"{name} up")
    run.supervisor.stop()
    assert await running == 0
    assert run.ready_with == {}
    byes = [line.split()[-2] for line in run.log.splitlines() if line.endswith("bye")]
    assert byes == ["three", "two", "one"]
    assert not any(child.running for child in run.supervisor.children)


async def test_variables_of_a_stage_reach_the_later_ones() -> None:
    run = Run()
    first = stage("one", "print=ADDED", adds={"ADDED": "by one"})
    running = asyncio.create_task(run.run(first, stage("two", "print=ADDED")))
    await run.until("two up")
    run.supervisor.stop()
    await running
    assert "one   │ ADDED=unset" in run.log
    assert "two   │ ADDED=by one" in run.log


@pytest.mark.parametrize(("code", "whole"), [(7, 7), (0, 1)])
async def test_a_child_that_exits_is_named_and_stops_all(code: int, whole: int) -> None:
    run = Run()
    assert await run.run(stage("one"), stage("two", f"exit={code}")) == whole
    assert f"two exited with code {code}" in run.log
    assert "two gives up" in run.log  # its last lines are not lost
    assert not any(child.running for child in run.supervisor.children)


async def test_a_child_killed_by_a_signal_stops_all_with_the_shells_exit_code() -> None:
    run = Run()
    running = asyncio.create_task(run.run(stage("one"), stage("two")))
    await wait_until(lambda: run.ready_with is not None, 20)
    os.kill(run.supervisor.children[0].pid, signal.SIGKILL)
    assert await running == 128 + signal.SIGKILL
    assert "one exited" in run.log


async def test_a_child_that_exits_ends_the_wait_for_readiness() -> None:
    run = Run()

    async def never(_: Environment) -> None:
        await asyncio.Event().wait()

    assert await run.supervisor.run([stage("one"), stage("two", "exit=3")], never) == 3


async def test_the_failure_to_become_ready_names_the_missing_part() -> None:
    run = Run()

    async def not_ready(_: Environment) -> None:
        raise NeverReady("waited for Godot")

    assert await run.supervisor.run([stage("one")], not_ready) == 1
    assert "waited for Godot" in run.log
    assert not run.supervisor.children[0].running


async def test_a_missing_program_is_a_failure() -> None:
    run = Run()
    assert await run.run(stage("one"), Stage("two", ["/no/such/program"])) == 1
    assert "cannot start" in run.log
    assert not run.supervisor.children[0].running


async def test_lines_that_are_not_shown_are_left_out() -> None:
    run = Run()
    quiet = Stage("one", [sys.executable, FAKE, "one"], shown=lambda line: "up" not in line)
    running = asyncio.create_task(run.run(quiet, stage("two")))
    await run.until("two up")
    run.supervisor.stop()
    await running
    assert "one up" not in run.log
    assert "one bye" in run.log


async def test_a_child_that_does_not_stop_is_killed_after_the_deadline() -> None:
    run = Run(stop_seconds=0.05)
    running = asyncio.create_task(run.run(stage("one", "ignore-term")))
    await run.until("one up")
    run.supervisor.stop()
    assert await running == 0
    assert "one did not stop within 0.05 s and was killed" in run.log


async def test_a_second_interrupt_kills_the_children() -> None:
    run = Run(stop_seconds=1000)
    running = asyncio.create_task(run.run(stage("one", "ignore-term")))
    await run.until("one up")
    run.supervisor.stop()
    run.supervisor.stop()
    await running
    assert "killing the remaining processes" in run.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_stop_the_children(number: signal.Signals) -> None:
    run = Run()
    running = asyncio.create_task(run.run(stage("one")))
    await run.until("one up")
    os.kill(os.getpid(), number)
    assert await running == 0
    assert "one bye" in run.log


async def test_children_die_when_the_parent_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import asyncio, sys\n"
        "from nexus_cli.dev.log_view import LogView\n"
        "from nexus_cli.dev.supervisor import Stage, Supervisor\n"
        "async def ready(_): pass\n"
        f"stage = Stage('one', [sys.executable, {FAKE!r}, 'one', 'ignore-term'])\n"
        "asyncio.run(Supervisor(LogView(sys.stdout, ['one'], coloured=False)).run([stage], ready))\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(program), stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int((await parent.stdout.readline()).split()[-1])
    parent.kill()
    await parent.wait()
    await wait_until(lambda: not _alive(child), 20, "the child to be gone")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # Z: dead, but not yet reaped by its new parent
