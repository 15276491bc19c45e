"""The check of the documented variables finds every kind of fault."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import configuration
import documents
from stages import ROOT

README = "services/demo/README.md"
TABLE = "| variable | default | unit | why |\n|---|---|---|---|\n| `NEXUS_DEMO_PORT` | `1` | port | why |\n"
GOOD = f"# Demo\n\n{configuration.HEADING}{TABLE}"


def faults(*texts: tuple[str, str]) -> list[str]:
    return list(configuration.check(texts, {README: TABLE}))


def test_the_repository_has_no_fault() -> None:
    assert list(configuration.check(documents.tracked_texts(ROOT), configuration.tables(ROOT))) == []


def test_known_variables_may_be_mentioned() -> None:
    page = "Set `NEXUS_DEMO_PORT` or any `NEXUS_DEMO_*`, and NEXUS_APP for the command line."
    assert faults((README, GOOD), ("docs/page.md", page)) == []


@pytest.mark.parametrize("text", ["# Demo\n", GOOD.replace("`1`", "`2`"), f"# Demo\n\n## Other\n\n{TABLE}"])
def test_a_table_that_is_out_of_date_is_found(text: str) -> None:
    assert faults((README, text)) == [
        f"{README}: the table of variables is out of date; run scripts/configuration.py --write"
    ]


def test_a_missing_readme_is_found() -> None:
    assert len(faults()) == 1


def test_a_variable_that_does_not_exist_is_found_except_in_decisions() -> None:
    text = "one\nSet `NEXUS_DEMO_PROT`."
    assert faults((README, GOOD), ("docs/a.md", text), (f"{configuration.SKIPPED}one.md", text)) == [
        "docs/a.md:2: NEXUS_DEMO_PROT does not exist"
    ]


def test_a_second_table_is_found() -> None:
    assert faults((README, GOOD), ("docs/a.md", TABLE)) == [
        "docs/a.md:3: NEXUS_DEMO_PORT belongs in the README of its service"
    ]


@pytest.mark.parametrize(
    "text", ["# Demo\n", GOOD, f"# Demo\n\n{configuration.HEADING}old\n", f"{GOOD}\n## After\n\nText.\n"]
)
def test_writing_replaces_only_the_table(text: str) -> None:
    written = configuration.with_table(text, TABLE)
    assert faults((README, written)) == []
    assert written.startswith("# Demo\n\n")
    assert written.endswith("## After\n\nText.\n" if "After" in text else TABLE)
    assert configuration.with_table(written, TABLE) == written
