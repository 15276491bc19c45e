"""`make quick` runs only the tests that a change affects."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import affected
from stages import ROOT

TESTS = [path.relative_to(ROOT) for path in sorted((ROOT / "services").rglob("test_*.py"))]


def names(changed: str) -> set[str]:
    return {test.name for test in affected.python_tests([Path(changed)], TESTS)}


def test_a_module_is_named_by_its_path() -> None:
    assert affected.module_of(Path("services/sfu/src/nexus_sfu/core/room.py")) == "nexus_sfu.core.room"
    assert affected.module_of(Path("libs/bus/src/nexus_bus/__init__.py")) == "nexus_bus"
    assert affected.module_of(Path("README.md")) is None


def test_a_changed_module_affects_tests_that_import_it_indirectly() -> None:
    found = names("services/signaling/src/nexus_signaling/core/token_bucket.py")
    assert "test_core_parts.py" in found  # imports the module
    assert "test_core_session.py" in found  # imports the session, which uses the module
    assert "test_turn.py" not in found
    assert "test_sdp.py" not in found  # another service


def test_a_changed_test_affects_only_itself() -> None:
    assert names("services/sfu/tests/test_sizes.py") == {"test_sizes.py"}


def test_a_changed_harness_affects_the_tests_beside_it() -> None:
    found = names("services/signaling/tests/harness.py")
    assert {"test_join.py", "test_turn.py"} <= found
    assert "test_sdp.py" not in found


def test_a_native_source_affects_the_test_beside_it() -> None:
    sources = [Path("native/engine/srtp/srtp_context.cc"), Path("native/engine/srtp/nothing.h")]
    found = affected.native_tests([path for path in sources if (ROOT / path).is_file()])
    assert all((ROOT / test).is_file() for test in found)
    some = next((ROOT / "native" / "engine").rglob("*_test.cc")).relative_to(ROOT)
    assert affected.native_tests([some]) == [some]
