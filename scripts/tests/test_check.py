"""The list of static checks: one for all files, and its part for changed files."""

from pathlib import Path

from check import Scope, stages
from tidy import sources

ALWAYS = {"documents", "configuration"}


def names(*changed: str) -> set[str]:
    return {stage.name for stage in stages("generated", Scope([Path(path) for path in changed]))}


def test_a_change_runs_the_checks_that_concern_it() -> None:
    assert names("bench/sfu.py") == ALWAYS | {"prose", "ruff-format", "ruff", "mypy", "imports"}
    assert names("native/engine/base/time.h") == ALWAYS | {"prose", "clang-format", "native-layers"}
    assert names("native/CMakeLists.txt") == ALWAYS | {"native-layers"}
    assert names("proto/nexus/v1/sfu.proto") == ALWAYS | {"prose", "buf-lint", "buf-breaking", "proto-drift"}
    assert names("tests/foreign/pion/main.go") == ALWAYS | {"prose", "gofmt", "go-vet"}
    assert names("LICENSE") == ALWAYS


def test_a_change_to_every_kind_of_file_runs_every_check() -> None:
    kinds = [
        "sdks/web/src/index.ts",
        "tests/e2e/call.test.mjs",
        "tests/foreign/node/peer.mjs",
        "bench/sfu.py",
    ]
    kinds += ["native/io/engine.h", "proto/nexus/v1/sfu.proto", "tests/foreign/pion/main.go"]
    assert names(*kinds) == {stage.name for stage in stages("generated")}


def test_only_changed_files_are_read_where_a_tool_takes_files() -> None:
    scope = Scope([Path("bench/sfu.py"), Path("native/io/engine.h"), Path("docs/glossary.md"), Path("a.md")])
    assert scope.python() == ["bench/sfu.py"]
    assert scope.native() == ["native/io/engine.h"]
    assert scope.prose() == ["bench/sfu.py", "native/io/engine.h", "docs/glossary.md"]


def test_clang_tidy_reads_the_source_of_a_changed_header() -> None:
    changed = [Path("native/io/engine.h"), Path("bench/sfu.py"), Path("native/fuzz/rtp_fuzz.cc")]
    assert sources(changed) == ["native/fuzz/rtp_fuzz.cc", "native/io/engine.cc"]
    assert len(sources(None)) > 100
