"""Checks formats, lints and types of the files that differ from main, and runs the unit tests that they
affect.

Called by `make quick`; takes under two minutes on a warm checkout. BASE names another branch to compare with.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import affected
import stages as runner
from check import BIN, PROSE, python_folders
from stages import JOBS, ROOT, Command, Stage
from test import CCACHE, CTEST, SANITIZER_OPTIONS, configured

# Only `make test` runs tests of processes and browsers.
UNIT_TEST_FOLDERS = ["libs", "services", "sdks/python", "cli", "scripts", "bench"]
SLOW = re.compile(r"test_process\.py|test_call\.py|test_supervisor\.py|test_dev\.py")
WEB = "sdks/web"


def python_stages(changed: list[Path]) -> Iterator[Stage]:
    sources = [str(path) for path in changed if path.suffix in (".py", ".pyi") and "gen" not in path.parts]
    if not sources:
        return
    yield Stage("ruff-format", [Command([f"{BIN}/ruff", "format", "--check", "--quiet", *sources])])
    yield Stage("ruff", [Command([f"{BIN}/ruff", "check", "--quiet", *sources])])
    yield Stage("mypy", [Command([f"{BIN}/mypy", "--strict", *python_folders()])])
    yield Stage("imports", [Command([f"{BIN}/lint-imports"])])
    tests = [
        path.relative_to(ROOT)
        for folder in UNIT_TEST_FOLDERS
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if "node_modules" not in path.parts and not SLOW.search(path.name)
    ]
    chosen = [str(test) for test in affected.python_tests(changed, tests)]
    if chosen:
        pytest = [sys.executable, "-m", "pytest", "-q", "-x", *chosen]
        yield Stage("python", [Command(pytest, runner.count_pytest)])


def web_stages(changed: list[Path], base: str) -> Iterator[Stage]:
    if any(path.is_relative_to(WEB) for path in changed):
        for script in ("typecheck", "lint", "circles", "unused"):
            yield Stage(f"web-{script}", [Command(["npm", "run", script, "-w", WEB])])
        tests = ["npm", "test", "-w", WEB, "--", "--changed", base, "--passWithNoTests"]
        yield Stage("web", [Command(tests)])


def native_stages(changed: list[Path]) -> Iterator[Stage]:
    sources = [str(path) for path in changed if path.parts[0] == "native" and path.suffix in (".h", ".cc")]
    if not sources:
        return
    yield Stage("clang-format", [Command(["clang-format", "--dry-run", "-Werror", *sources])])
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
    run = ["ctest", "--test-dir", folder, "-j", JOBS, "-R", rf"({'|'.join(suites)})\.", *CTEST]
    yield Stage(
        "native",
        [Command(run, runner.count_ctest, SANITIZER_OPTIONS)],
        [configured(folder, "-DNEXUS_SANITIZE=address,undefined"), Command(build, environment=CCACHE)],
    )


def other_stages(changed: list[Path]) -> Iterator[Stage]:
    written = {".md", ".py", ".h", ".cc", ".ts", ".mjs", ".go", ".proto"}
    prose = [str(path) for path in changed if path.suffix in written and str(path).startswith(tuple(PROSE))]
    if prose:
        yield Stage("prose", [Command([f"{BIN}/vale", "--output=line", *prose])])
    yield Stage("documents", [Command([sys.executable, "scripts/documents.py"])])
    yield Stage("configuration", [Command([sys.executable, "scripts/configuration.py"])])
    if any(path.suffix == ".proto" for path in changed):
        yield Stage("buf-lint", [Command([f"{BIN}/buf", "lint", "proto"])])


def main() -> int:
    base = os.environ.get("BASE", "main")
    changed = affected.changed_files(base)
    if not changed:
        print(f"Nothing differs from {base}.")
        return 0
    chosen = [
        *python_stages(changed),
        *web_stages(changed, base),
        *native_stages(changed),
        *other_stages(changed),
    ]
    return runner.run(chosen) if chosen else 0


if __name__ == "__main__":
    sys.exit(main())
