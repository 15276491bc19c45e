"""The documented tables of errors, close codes and grants match the code."""

import re
from pathlib import Path

import pytest
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_signaling.errors import CloseCode, close_code
from nexus_signaling.tokens import GRANTS, default_grants

ROOT = Path(__file__).parents[3]
ERRORS = (ROOT / "docs/reference/errors.md").read_text()
SESSION = (ROOT / "docs/reference/session.md").read_text()


def rows(text: str, first_cell: str) -> list[list[str]]:
    """The cells of every table row whose first cell matches."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    return [row for row in cells if re.fullmatch(first_cell, row[0])]


def test_the_table_of_errors_has_every_code_once_and_in_order() -> None:
    assert [row[0].strip("`") for row in rows(ERRORS, r"`[A-Z_]+`")] == list(ErrorCode.keys())


@pytest.mark.parametrize("row", rows(ERRORS, r"`[A-Z_]+`"), ids=lambda row: row[0].strip("`"))
def test_every_error_has_meaning_sender_and_remedy(row: list[str]) -> None:
    assert len(row) == 5
    _, meaning, sender, _, cure = row
    assert meaning
    assert cure
    assert set(sender.split(", ")) <= {"signaling", "sfu", "recorder", "none"}


@pytest.mark.parametrize("row", rows(ERRORS, r"`[A-Z_]+`"), ids=lambda row: row[0].strip("`"))
def test_the_documented_close_code_is_the_one_that_is_sent(row: list[str]) -> None:
    code = ErrorCode.Value(row[0].strip("`"))
    documented = re.match(r"\d{4}", row[3])
    if documented is not None:
        assert int(documented.group()) == close_code(code)
    else:  # never fatal within a session
        assert row[3] == "" or row[3].startswith("HTTP")


def test_every_close_code_is_documented() -> None:
    assert [int(row[0]) for row in rows(SESSION, r"\d{4}")] == sorted(CloseCode)


def test_every_grant_is_documented_with_its_default() -> None:
    defaults = default_grants()
    documented = {row[0].strip("`"): row[2] for row in rows(SESSION, r"`[a-z]+`") if row[2] in ("yes", "no")}
    assert documented == {name: "yes" if getattr(defaults, name) else "no" for name in GRANTS}
