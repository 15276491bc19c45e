"""The life cycle of a service, tested on a child process: signals, exit codes and log lines."""

import json
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from nexus_runtime import Life

PREAMBLE = """
import asyncio, sys
from nexus_runtime import ClientError, Life, NexusError, configure_logs, run
configure_logs("demo", format="json")

def ready():
    print("ready", flush=True)
"""


def start(body: str) -> subprocess.Popen[str]:
    code = PREAMBLE + textwrap.dedent(body) + "\nsys.exit(run(main))\n"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, list[dict[str, Any]]]:
    output, log = process.communicate(timeout=60)
    return process.returncode, output, [json.loads(line) for line in log.splitlines()]


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


SERVES = """
async def main(life):
    ready()
    await life.wait_until_stopping()
    print("draining" if life.draining else "not draining")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_the_service(number: signal.Signals) -> None:
    process = start(SERVES)
    wait_ready(process)
    process.send_signal(number)
    code, output, log = end(process)
    assert (code, output) == (0, "draining\n")
    assert [line["event"] for line in log] == ["stopping"]
    assert log[0]["signal"] == number.name


def test_a_service_runs_on_uvloop() -> None:
    code, output, _ = end(start("async def main(life): print(type(asyncio.get_running_loop()).__module__)"))
    assert (code, output) == (0, "uvloop\n")


def test_a_second_signal_ends_the_service_at_once() -> None:
    process = start("""
        async def main(life):
            ready()
            await life.wait_until_stopping()
            ready()
            await asyncio.Event().wait()
    """)
    wait_ready(process)
    process.terminate()
    wait_ready(process)
    process.terminate()
    code, _, log = end(process)
    assert code == 128 + signal.SIGTERM
    assert [line["event"] for line in log] == ["stopping", "stopped_at_once"]


def test_a_failed_task_ends_the_service_and_is_named() -> None:
    code, _, log = end(
        start("""
        async def part():
            raise RuntimeError("broken")
        async def main(life):
            life.supervise("heartbeat", part())
            await asyncio.Event().wait()
    """)
    )
    assert code == 1
    assert (log[0]["event"], log[0]["task"]) == ("task_crashed", "heartbeat")
    assert "RuntimeError: broken" in log[0]["exception"]


def test_a_task_that_returns_early_ends_the_service() -> None:
    code, _, log = end(
        start("""
        async def part():
            pass
        async def main(life):
            life.supervise("reader", part())
            await life.wait_until_stopping()
    """)
    )
    assert code == 1
    assert (log[0]["event"], log[0]["task"]) == ("task_ended_early", "reader")


def test_tasks_are_cancelled_at_the_end() -> None:
    code, output, _ = end(
        start("""
        async def part(begun):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                print("cleaned up")
        async def main(life):
            begun = asyncio.Event()
            life.supervise("part", part(begun))
            await begun.wait()
    """)
    )
    assert (code, output) == (0, "cleaned up\n")


def test_a_task_that_loses_its_first_cancellation_is_cancelled_again() -> None:
    process = start("""
    async def stubborn():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("lost", flush=True)  # as asyncio.wait_for of Python 3.11 may
        await asyncio.sleep(3600)

    async def main(life):
        life.supervise("stubborn", stubborn())
        await asyncio.sleep(0)
        ready()
        await life.wait_until_stopping()
    """)
    wait_ready(process)
    process.send_signal(signal.SIGTERM)
    code, output, _ = end(process)
    assert (code, output) == (0, "lost\n")


@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [
        ('ClientError("CONFIG_INVALID", "port", port=1)', 2, "client"),
        ('NexusError("NATS_GONE", "no broker", port=1)', 1, "internal"),
    ],
)
def test_a_known_error_is_one_line_without_a_traceback(error: str, code: int, fault: str) -> None:
    found, _, log = end(start(f"async def main(life): raise {error}"))
    assert found == code
    assert (log[0]["event"], log[0]["fault"], log[0]["port"]) == ("service_failed", fault, 1)
    assert "exception" not in log[0]


def test_an_unknown_error_is_a_crash() -> None:
    code, _, log = end(start('async def main(life): raise RuntimeError("broken")'))
    assert code == 1
    assert log[0]["event"] == "service_crashed"
    assert "RuntimeError: broken" in log[0]["exception"]


def test_the_first_nonzero_exit_code_is_kept() -> None:
    code, _, _ = end(
        start("""
        async def main(life):
            life.stop(3)
            life.stop(4)
            await life.wait_until_draining()
    """)
    )
    assert code == 3


def test_draining_is_not_stopping_and_can_be_undone() -> None:
    life = Life()
    changes: list[bool] = []
    life.on_drain(changes.append)
    life.drain()
    life.drain()
    assert (life.draining, life.stopping, changes) == (True, False, [True])
    life.resume()
    assert (life.draining, changes) == (False, [True, False])


def test_stopping_implies_draining_which_cannot_be_undone() -> None:
    life = Life()
    life.stop()
    life.resume()
    assert (life.draining, life.stopping) == (True, True)
