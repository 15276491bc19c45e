"""Checks the files that differ from main, by the stages of `make check` that concern them, and runs the unit
tests that they affect.

Called by `make quick`; takes under two minutes on a warm checkout. BASE names another branch to compare with.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import affected
import check
from commands import Command
from counts import count_ctest, count_pytest
from stages import JOBS, ROOT, Stage, run
from test import CCACHE, CTEST, SANITIZER_OPTIONS, configured

# Only `make test` runs tests of processes and browsers.
UNIT_TEST_FOLDERS = ["libs", "services", "sdks/python", "cli", "scripts", "bench"]
SLOW = re.compile(r"test_process\.py|test_call\.py|test_supervisor\.py|test_dev\.py")
WEB = "sdks/web"


def python_tests(changed: list[Path]) -> Iterator[Stage]:
    if not any(path.suffix in check.PYTHON_SUFFIXES and "gen" not in path.parts for path in changed):
        return
    tests = [
        path.relative_to(ROOT)
        for folder in UNIT_TEST_FOLDERS
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if "node_modules" not in path.parts and not SLOW.search(path.name)
    ]
    chosen = [str(test) for test in affected.python_tests(changed, tests)]
    if chosen:
        pytest = [sys.executable, "-m", "pytest", "-q", "-x", *chosen]
        yield Stage("python", [Command(pytest, count_pytest)])


def web_tests(changed: list[Path], base: str) -> Iterator[Stage]:
    if any(path.is_relative_to(WEB) for path in changed):
        tests = ["npm", "test", "-w", WEB, "--", "--changed", base, "--passWithNoTests"]
        yield Stage("web", [Command(tests)])


def native_tests(changed: list[Path]) -> Iterator[Stage]:
    suites = sorted(
        {
            suite
            for test in affected.native_tests(changed)
            for suite in re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+)", (ROOT / test).read_text(), re.MULTILINE)
        }
    )
    if not suites:
        return
    folder = "build/asan"
    build = ["cmake", "--build", folder, "-j", JOBS]
    ctest = ["ctest", "--test-dir", folder, "-j", JOBS, "-R", rf"({'|'.join(suites)})\.", *CTEST]
    yield Stage(
        "native",
        [Command(ctest, count_ctest, SANITIZER_OPTIONS)],
        [configured(folder, "-DNEXUS_SANITIZE=address,undefined"), Command(build, environment=CCACHE)],
    )


def main() -> int:
    base = os.environ.get("BASE", "main")
    changed = affected.changed_files(base)
    if not changed:
        print(f"Nothing differs from {base}.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        chosen = [
            *check.stages(folder, check.Scope(changed)),
            *python_tests(changed),
            *web_tests(changed, base),
            *native_tests(changed),
        ]
        return run(chosen)


if __name__ == "__main__":
    sys.exit(main())
