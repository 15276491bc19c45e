"""Static checks: formats, lints, types and contracts. Called by `make check`; changes nothing."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stages import ROOT, Command, Stage, run

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
NATIVE_SUFFIXES = {".h", ".cc"}
# Documents, and code whose comments are checked; Vale knows languages by their file extensions (.vale.ini).
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


def stages(generated: str) -> Iterator[Stage]:
    yield Stage("ruff-format", [Command([f"{BIN}/ruff", "format", "--check", "--quiet", "."])])
    yield Stage("ruff", [Command([f"{BIN}/ruff", "check", "--quiet", "."])])
    yield Stage("mypy", [Command([f"{BIN}/mypy", "--strict", *python_folders()])])
    yield Stage("imports", [Command([f"{BIN}/lint-imports", "--no-cache"])])
    yield Stage("prose", [Command([f"{BIN}/vale", "--output=line", *PROSE])])
    yield Stage("documents", [Command([sys.executable, "scripts/documents.py"])])
    yield Stage("configuration", [Command([sys.executable, "scripts/configuration.py"])])
    if files := native_files():
        yield Stage("clang-format", [Command(["clang-format", "--dry-run", "-Werror", *files])])
    yield Stage("native-layers", [Command([sys.executable, "scripts/native_layers.py"])])
    yield Stage("gofmt", [Command(["sh", "-ec", GOFMT])])
    yield Stage("go-vet", [Command(["sh", "-ec", GO_VET])])
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
    for package in ("sdks/web", "tests/e2e", "tests/foreign/node"):
        for script in ("typecheck", "lint", "circles", "unused", "api"):
            if has_script(package, script):
                yield Stage(f"{package}-{script}", [Command(["npm", "run", script, "-w", package])])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(list(stages(folder))))
