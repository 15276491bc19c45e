"""The runner of stages: it counts every failure that the output of a test runner reports."""

import os
import re
import sys
from pathlib import Path

import commands
import counts
import pytest
import stages
from commands import Command, ProcessGroups
from counts import Count, Counter
from display import Display
from stages import Stage


@pytest.mark.parametrize(
    ("count", "output", "wanted"),
    [
        (counts.count_pytest, "....\n112 passed in 10.59s\n", Count(112, 0)),
        (
            counts.count_pytest,
            "3 failed, 112 passed, 2 skipped, 1 error in 83.01s (0:01:23)\n",
            Count(112, 4),
        ),
        (counts.count_pytest, "said: 9 passed in 1s\n= 1 passed, 1 warning in 0.1s =\n", Count(1, 0)),
        (counts.count_pytest, "no tests ran in 0.01s\n", Count(0, 0)),
        (
            counts.count_vitest,
            " Test Files  2 passed (2)\n      Tests  1 failed | 34 passed (35)\n",
            Count(34, 1),
        ),
        (counts.count_node, "ℹ tests 3\nℹ pass 1\nℹ fail 1\nℹ cancelled 1\n", Count(1, 2)),
        (counts.count_node, "# pass 7\n# fail 0\n", Count(7, 0)),
        (counts.count_ctest, "100% tests passed, 0 tests failed out of 37\n", Count(37, 0)),
        (counts.count_ctest, "97% tests passed, 1 tests failed out of 37\n", Count(36, 1)),
        (counts.count_gtest, "[  PASSED  ] 11 tests.\n[  FAILED  ] 1 test, listed below:\n", Count(11, 1)),
        (counts.count_gtest, "[  PASSED  ] 1 test.\n", Count(1, 0)),
    ],
)
def test_counts(count: Counter, output: str, wanted: Count) -> None:
    assert count(output) == wanted


def python(code: str, count: Counter | None = None) -> Command:
    return Command([sys.executable, "-c", code], count)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("STAGES", raising=False)
    monkeypatch.delenv("LANES", raising=False)
    monkeypatch.setattr(stages, "ROOT", tmp_path_factory.mktemp("root"))


def test_passed_tests_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    ran = [Stage("one", [python("print('\\x1b[32m5 passed\\x1b[0m in 0.1s')", counts.count_pytest)])]
    assert stages.run([*ran, Stage("two", [python("")], [python("")])]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "6 passed, 0 failed"
    assert (stages.ROOT / "build" / "summary.txt").read_text() == "6 passed, 0 failed\n"


def test_programs_of_the_environment_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a bare Debian 12, node and Go are only in the environment."""
    tool = tmp_path / "nexus-test-tool"
    tool.write_text("#!/bin/sh\necho the one beside python\n")
    tool.chmod(0o755)
    monkeypatch.setattr(commands, "BIN", tmp_path)
    assert stages.run([Stage("one", [Command(["nexus-test-tool"])])]) == 0
    assert "the one beside python" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        python("exit(3)"),
        python("print('5 passed in 0.1s'); exit(1)", counts.count_pytest),
        python("print('1 failed in 0.1s')", counts.count_pytest),
        python("print('no tests ran in 0.1s')", counts.count_pytest),
    ],
)
def test_a_failure_fails_the_run_but_the_next_stage_runs(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stages.run([Stage("bad", [command]), Stage("good", [python("print('still here')")])]) == 1
    output = capsys.readouterr().out
    assert "still here" in output
    assert output.splitlines()[-1].endswith(" passed, 1 failed")


def test_a_failed_preparation_ends_its_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert stages.run([Stage("bad", [python("print('wrong'.upper())")], [python("exit(1)")])]) == 1
    output = capsys.readouterr().out
    assert "WRONG" not in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"


def test_parallel_commands_keep_their_output_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "JOBS", "3")
    slow = "import time\nfor n in range(3): print('{0}', n, flush=True); time.sleep(0.05)"
    commands = [python(slow.replace("{0}", name)) for name in "abc"]
    assert stages.run([Stage("many", [*commands, python("exit(1)")], parallel=True)]) == 1
    output = capsys.readouterr().out
    for name in "abc":
        assert f"{name} 0\n{name} 1\n{name} 2\n" in output
    assert output.splitlines()[-1] == "3 passed, 1 failed"


def test_a_hanging_command_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TIMEOUT_SECONDS", 0.5)
    assert stages.run([Stage("hangs", [python("import time; time.sleep(3600)")])]) == 1


MEETS = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
while not other.exists(): time.sleep(0.01)
print("met", other.name)
"""


def meeting(folder: Path, mine: str, other: str) -> Command:
    """Ends when the other one has begun."""
    return Command([sys.executable, "-c", MEETS, str(folder / mine), str(folder / other)])


def test_lanes_run_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANES", "2")
    ran = [
        Stage("first", [meeting(tmp_path, "a", "b"), python("print('first again')")]),
        Stage("second", [meeting(tmp_path, "b", "a"), python("exit(1)")], lane=stages.CALLS),
    ]
    assert stages.run(ran) == 1
    output = capsys.readouterr().out
    assert re.search(r"━━━ \[1/2\] first ━━━\n\$ .*met b\n\$ .*first again\n", output, re.DOTALL)
    assert re.search(r"━━━ \[2/2\] second ━━━\n\$ .*met a\n", output, re.DOTALL)
    assert re.search(r"first +ok +2 +0 .*\nsecond +FAILED +1 +1 ", output)
    assert "met b\n" in (stages.ROOT / "build" / "logs" / "first.log").read_text()


def test_without_lanes_stages_run_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    ran = [
        Stage("calls", [python("print('x')")], lane=stages.CALLS),
        Stage("computes", [python("print('y')")]),
    ]
    assert stages.run(ran) == 0
    shown = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line in ("x", "y") or line.startswith("━━━ [")
    ]
    assert shown == ["━━━ [1/2] calls ━━━", "x", "━━━ [2/2] computes ━━━", "y"]


def test_only_beside_calls_the_compute_lane_is_nicer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANES", "2")
    tells = [python("import os; print('nice', os.nice(0))")]
    own = os.nice(0)
    assert stages.run([Stage("alone", tells)]) == 0
    assert f"nice {own}\n" in capsys.readouterr().out
    assert stages.run([Stage("computes", tells), Stage("calls", tells, lane=stages.CALLS)]) == 0
    output = capsys.readouterr().out
    assert f"nice {min(own + stages.COMPUTE.nice, 19)}\n" in output
    assert f"nice {own}\n" in output


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel has no autogroups")
def test_a_nicer_command_has_a_nicer_session(tmp_path: Path) -> None:
    tells = python("import time; time.sleep(1); print(open('/proc/self/autogroup').read())")
    assert ProcessGroups().run(tells, tmp_path, lambda line: None, nice=7).output.strip().endswith("nice 7")


def test_a_closed_run_ends_its_commands_and_starts_no_more(tmp_path: Path) -> None:
    groups = ProcessGroups()
    waits = python("import time; print('begun', flush=True); time.sleep(3600)")
    ended = groups.run(waits, tmp_path, lambda line: groups.close() if line == "begun\n" else None)
    assert (ended.code, ended.output) == (-9, "begun\n")
    with pytest.raises(RuntimeError):
        groups.run(waits, tmp_path, lambda line: None)


def test_the_processor_time_of_children_is_counted(tmp_path: Path) -> None:
    works = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(5_000_000))'])"
    busy = ProcessGroups().run(python(works), tmp_path, lambda line: None)
    idle = ProcessGroups().run(python("import subprocess, sys"), tmp_path, lambda line: None)
    assert busy.cpu_seconds > idle.cpu_seconds > 0


def test_progress_names_what_runs_and_its_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    display = Display(tmp_path, live=False)
    with display.stage("calls", "[1/1] calls") as show:
        show("\x1b[32mok one\x1b[0m\n")
        show("ok two\n")
        capsys.readouterr()
        display.progress()
        assert re.fullmatch(r"  … calls, \d+ s: ok two\n", capsys.readouterr().out)
    assert "ok one" in capsys.readouterr().out
    display.progress()
    assert capsys.readouterr().out == ""


def test_stages_can_be_chosen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    both = [Stage("one", [python("exit(1)")]), Stage("two", [python("")])]
    monkeypatch.setenv("STAGES", "two")
    assert stages.run(both) == 0
    monkeypatch.setenv("STAGES", "three")
    assert stages.run(both) == 2
    assert "one, two" in capsys.readouterr().err


def test_an_empty_run_fails() -> None:
    assert stages.run([]) == 1
