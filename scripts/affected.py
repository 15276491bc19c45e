"""Finds the unit tests that a change affects: by imports in Python, by file names in C++.

Used by `make quick`; `make test` runs the whole suite.
"""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import grimp
from stages import ROOT

PACKAGES = (
    "nexus_bus",
    "nexus_runtime",
    "nexus_rpc",
    "nexus_rooms",
    "nexus_frames",
    "nexus_jobs",
    "nexus_storage",
    "nexus_testkit",
    "nexus_recorder",
    "nexus_sfu",
    "nexus_signaling",
    "nexus_rtc",
    "nexus_cli",
)


def changed_files(base: str) -> list[Path]:
    """Files that differ from the merge base with `base`, including untracked ones, relative to the root."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    (fork,) = git("merge-base", base, "HEAD")
    names = git("diff", "--name-only", fork) + git("ls-files", "--others", "--exclude-standard")
    return sorted({Path(name) for name in names if (ROOT / name).is_file()})


def module_of(path: Path) -> str | None:
    """The module of a file: `services/sfu/src/nexus_sfu/core/room.py` is `nexus_sfu.core.room`."""
    parts = path.with_suffix("").parts
    for index, part in enumerate(parts):
        if part in PACKAGES:
            names = parts[index:-1] if parts[-1] == "__init__" else parts[index:]
            return ".".join(names)
    return None


def affected_modules(changed: Iterable[str]) -> set[str]:
    """The changed modules and all modules that import them, directly or indirectly."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    known = [module for module in changed if module in graph.modules]
    found = set(known)
    for module in known:
        found |= graph.find_downstream_modules(module)
    return found


def imported_by(test: Path) -> Iterator[str]:
    """The names that a test file imports; `from a import b` counts as `a` and `a.b`."""
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def python_tests(changed: Iterable[Path], tests: Iterable[Path]) -> list[Path]:
    """The `tests` that have changed or that import an affected module.

    A change to a conftest or a harness affects the tests in its folder.
    """
    changed = set(changed)
    modules = affected_modules(m for path in changed if (m := module_of(path)) is not None)
    shared = {path.parent for path in changed if path.suffix == ".py" and not path.name.startswith("test_")}
    return [
        test
        for test in tests
        if test in changed or test.parent in shared or not modules.isdisjoint(imported_by(ROOT / test))
    ]


def native_tests(changed: Iterable[Path]) -> list[Path]:
    """Test files that have changed, or whose source of the same name in the same folder has changed."""
    found = set()
    for path in changed:
        if path.parts[0] == "native" and path.suffix in (".h", ".cc"):
            stem = path.stem.removesuffix("_test")
            test = path.with_name(f"{stem}_test.cc")
            if (ROOT / test).is_file():
                found.add(test)
    return sorted(found)
