"""Static checks: formats, lints, types and contracts. Called by `make check`; changes nothing. `make quick`
runs those of them that concern the changed files.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from commands import Command
from stages import ROOT, Stage, run

BIN = Path(sys.executable).parent
PYTHON_FOLDERS = ["libs/*/src", "libs/*/tests", "services/*/src", "services/*/tests", "sdks/python/src"]
PYTHON_FOLDERS += [
    "sdks/python/tests",
    "cli/src",
    "cli/tests",
    "native/python/nexus_media",
    "native/python/tests",
    "tests",
    "bench",
]
PYTHON_FOLDERS += ["scripts"]
# gofmt reports differences only by its output; its exit code is always 0.
GOFMT = """root=$(go env GOROOT)
differs=$("$root/bin/gofmt" -d tests/foreign/pion)
echo "$differs"
test -z "$differs"
"""
GO_VET = "cd tests/foreign/pion && go vet . && go vet -modfile=before_ice_4_0_8.mod ."
PYTHON_SUFFIXES = {".py", ".pyi"}
NATIVE_SUFFIXES = {".h", ".cc"}
# Packages with scripts of their own, and those scripts that are static checks.
NODE_PACKAGES = ("sdks/web", "tests/e2e", "tests/foreign/node")
NODE_SCRIPTS = ("typecheck", "lint", "circles", "unused", "api")
# Documents, and code whose comments are checked; Vale knows languages by their file extensions (.vale.ini).
PROSE_SUFFIXES = {".md", ".py", ".h", ".cc", ".ts", ".mjs", ".go", ".proto"}
PROSE = [
    "README.md",
    "CONTRIBUTING.md",
    "docs",
    "services",
    "libs",
    "cli",
    "native",
    "sdks",
    "proto/nexus",
    "scripts",
    "bench",
    "tests",
]


def python_folders() -> list[str]:
    """The folders that contain Python, because mypy refuses an empty folder."""
    found = [folder for pattern in PYTHON_FOLDERS for folder in sorted(ROOT.glob(pattern))]
    skipped = ("node_modules",)
    return [
        str(folder.relative_to(ROOT))
        for folder in found
        if any(
            path.suffix in (".py", ".pyi") and not set(skipped) & set(path.parts)
            for path in folder.rglob("*.py*")
        )
    ]


def native_files() -> list[str]:
    found = (ROOT / "native").rglob("*")
    return sorted(str(path.relative_to(ROOT)) for path in found if path.suffix in NATIVE_SUFFIXES)


def has_script(package: str, name: str) -> bool:
    manifest = ROOT / package / "package.json"
    return manifest.exists() and f'"{name}":' in manifest.read_text()


class Scope:
    """The files that the checks concern: all of them, or only those that have changed.

    `changed` has paths relative to the root; None means all files.
    """

    def __init__(self, changed: Sequence[Path] | None = None) -> None:
        self._changed = changed

    def touches(self, *folders: str) -> bool:
        """Whether a file below one of the folders is concerned."""
        if self._changed is None:
            return True
        return any(path.is_relative_to(folder) for path in self._changed for folder in folders)

    def python(self) -> list[str]:
        """Arguments for ruff, which skips generated code by itself."""
        return self._with(PYTHON_SUFFIXES, everything=["."])

    def native(self) -> list[str]:
        found = self._with(NATIVE_SUFFIXES, everything=native_files())
        return [path for path in found if path.startswith("native/")]

    def prose(self) -> list[str]:
        found = self._with(PROSE_SUFFIXES, everything=PROSE)
        return [path for path in found if any(Path(path).is_relative_to(folder) for folder in PROSE)]

    def _with(self, suffixes: set[str], everything: list[str]) -> list[str]:
        if self._changed is None:
            return everything
        return [str(path) for path in self._changed if path.suffix in suffixes]


def stages(generated: str, scope: Scope | None = None) -> Iterator[Stage]:
    """The checks that the files of `scope` need, by default all. `generated` is an empty folder for code that
    is generated from proto/."""
    scope = scope or Scope()
    yield from _python_stages(scope)
    if files := scope.prose():
        yield Stage("prose", [Command([f"{BIN}/vale", "--output=line", *files])])
    # Both compare documents with code everywhere, and take a second.
    yield Stage("documents", [Command([sys.executable, "scripts/documents.py"])])
    yield Stage("configuration", [Command([sys.executable, "scripts/configuration.py"])])
    if files := scope.native():
        yield Stage("clang-format", [Command(["clang-format", "--dry-run", "-Werror", *files])])
    if scope.touches("native"):
        yield Stage("native-layers", [Command([sys.executable, "scripts/native_layers.py"])])
    if scope.touches("tests/foreign/pion"):
        yield Stage("gofmt", [Command(["sh", "-ec", GOFMT])])
        yield Stage("go-vet", [Command(["sh", "-ec", GO_VET])])
    if scope.touches("proto"):
        yield from _contract_stages(generated)
    for package in NODE_PACKAGES:
        for script in NODE_SCRIPTS:
            if scope.touches(package) and has_script(package, script):
                yield Stage(f"{package}-{script}", [Command(["npm", "run", script, "-w", package])])


def _python_stages(scope: Scope) -> Iterator[Stage]:
    files = scope.python()
    if not files:
        return
    ruff = [f"{BIN}/ruff"]
    yield Stage("ruff-format", [Command([*ruff, "format", "--check", "--quiet", "--force-exclude", *files])])
    yield Stage("ruff", [Command([*ruff, "check", "--quiet", "--force-exclude", *files])])
    yield Stage("mypy", [Command([f"{BIN}/mypy", "--strict", *python_folders()])])
    yield Stage("imports", [Command([f"{BIN}/lint-imports", "--no-cache"])])


def _contract_stages(generated: str) -> Iterator[Stage]:
    yield Stage("buf-lint", [Command([f"{BIN}/buf", "lint", "proto"])])
    yield Stage(
        "buf-breaking", [Command([f"{BIN}/buf", "breaking", "proto", "--against", "proto/baseline.binpb"])]
    )
    yield Stage(
        "proto-drift",
        [
            Command(["diff", "-r", "-x", "__pycache__", f"{generated}/python/src", "proto/gen/python/src"]),
            Command(["diff", "-r", f"{generated}/ts/src", "proto/gen/ts/src"]),
        ],
        [Command(["scripts/proto", generated])],
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(list(stages(folder))))
