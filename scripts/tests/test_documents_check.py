"""The check of documents finds every kind of fault."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import documents
from stages import ROOT

DATE = "Date: 2026-11-25 · Status: "


def write(root: Path, *decisions: tuple[str, str], index: str | None = None) -> None:
    folder = root / documents.FOLDER
    folder.mkdir(parents=True)
    for name, text in decisions:
        (folder / name).write_text(text)
    page = f"# Decisions\n\n{documents.TABLE}"
    found = documents.read_decisions(root, [])
    (root / documents.INDEX).write_text(documents.with_index(page, found) if index is None else index)


ONE = ("0001-one.md", f"# 1. One\n\n{DATE}accepted\n\nText.\n")
TWO = ("0002-two.md", f"# 2. Two\n\n{DATE}superseded by 1\n\nText.\n")


def test_the_repository_has_no_fault() -> None:
    names = documents.tracked_names(ROOT)
    assert documents.check(ROOT, names, documents.read_texts(ROOT, names)) == []


def test_valid_decisions_and_their_index(tmp_path: Path) -> None:
    write(tmp_path, ONE, TWO)
    assert documents.check(tmp_path, [], []) == []
    index = (tmp_path / documents.INDEX).read_text()
    assert "| [0002](0002-two.md) | Two (superseded by 1) |\n" in index


@pytest.mark.parametrize(
    ("decision", "fault"),
    [
        (("0003-two.md", f"# 3. Two\n\n{DATE}accepted\n\nText.\n"), "numbers have no gaps"),
        (("0002-two.md", f"# 3. Two\n\n{DATE}accepted\n\nText.\n"), "does not begin"),
        (("0002-two.md", f"# Two\n\n{DATE}accepted\n\nText.\n"), "does not begin"),
        (("0002-two.md", f"# 2. Two\n\n{DATE}proposed\n\nText.\n"), "does not begin"),
        (("0002-two.md", "# 2. Two\n\nText.\n"), "does not begin"),
        (("two.md", f"# 2. Two\n\n{DATE}accepted\n\nText.\n"), "does not begin"),
        (("0002-two.md", f"# 2. Two\n\n{DATE}superseded by 7\n\nText.\n"), "superseded by 7"),
    ],
)
def test_an_invalid_decision_is_found(tmp_path: Path, decision: tuple[str, str], fault: str) -> None:
    write(tmp_path, ONE, decision)
    (found,) = documents.check(tmp_path, [], [])
    assert fault in found


def test_an_index_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    write(tmp_path, ONE, index=f"# Decisions\n\n{documents.TABLE}")
    assert documents.check(tmp_path, [], []) == [
        "docs/decisions/README.md: is out of date; run scripts/documents.py --write"
    ]


# The word "decision" is inserted later, so that the check of the repository does not find references here.
@pytest.mark.parametrize(
    ("reference", "right"),
    [
        ("{} 0001", True),
        ("{}s/0001", True),
        ("{}s/0001-one.md", True),
        ("{} 0002", False),
        ("{} 96.", False),
        ("{}s/0001-two.md", False),
    ],
)
def test_a_reference_to_no_decision_is_found(tmp_path: Path, reference: str, right: bool) -> None:
    write(tmp_path, ONE)
    text = "first line\n// see " + reference.format("decision")
    faults = documents.check(tmp_path, [], [("native/engine/a.h", text)])
    assert [fault[:19] for fault in faults] == ([] if right else ["native/engine/a.h:2"])


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    (tmp_path / "docs" / "page.md").touch()
    links = "[index](decisions/README.md#decisions) [web](https://example.org/) [below](#some-text-here)"
    text = f"{links} [none](none.md)\n[index](decisions/README.md#none)\n# Some `text`, here\n"
    assert documents.check(tmp_path, [], [("docs/page.md", text)]) == [
        "docs/page.md:1: links to none.md, which does not exist",
        "docs/page.md:2: links to #none, which is no heading of decisions/README.md",
    ]


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("native/engine/ice/ice_lite.h", True),
        ("ice/ice_lite.cc", True),
        ("ice/ice_lite", True),
        ("engine/ice", True),
        ("ice_lite.{h,cc}", True),
        ("ice/ice_lite.*", True),
        ("build/release", True),
        ("ice/ice_full", False),
        ("ice_full.h", False),
        ("ice_lite.{h,py}", False),
        ("engine/turn", False),
    ],
)
def test_a_path_of_no_file_is_found(tmp_path: Path, path: str, right: bool) -> None:
    write(tmp_path, ONE)
    names = ["native/engine/ice/ice_lite.h", "native/engine/ice/ice_lite.cc"]
    faults = documents.check(tmp_path, names, [("docs/page.md", f"see `{path}`")])
    assert faults == ([] if right else [f"docs/page.md:1: names {path}, which does not exist"])


def test_a_bare_number_in_a_document_is_a_decision(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    text = "as 0001 says, and 0080; not port 0443.5, id 01ab or 2026-01-02"
    assert documents.check(tmp_path, [], [("docs/page.md", text)]) == [
        f"docs/page.md:1: there is no decision {80:04}"
    ]
