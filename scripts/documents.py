"""Checks decisions, references to decisions, and links between documents.

`documents.py` prints each fault and fails if there are any; `documents.py --write` also writes the index of
the decisions.
"""

import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stages import ROOT

FOLDER = Path("docs/decisions")
INDEX = FOLDER / "README.md"
# "# 7. Title", an empty line, "Date: 2026-11-25 · Status: accepted" or "… superseded by 12".
HEADING = re.compile(
    r"# (?P<number>\d+)\. (?P<title>\S.*)\n\n"
    r"Date: (?P<date>\d{4}-\d\d-\d\d) · Status: (?:accepted|superseded by (?P<successor>\d+))\n\n"
)
NAME = re.compile(r"(?P<number>\d{4})-[a-z0-9-]+\.md")
# A number, or a number and a name, after "decision " or "decisions/".
REFERENCE = re.compile(r"\bdecisions?[ /](?P<number>\d+)\b(?P<name>-[a-z0-9-]+\.md)?", re.IGNORECASE)
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]+))?\)")
# A number of four digits stands in documents for a decision only.
BARE_NUMBER = re.compile(r"(?<![\w./-])(?P<number>0\d{3})(?![\w.-]*\w)")
# `folder/name`, `name.py`, `folder/{one,other}.cc`, `folder/name` without its suffix.
PATH = re.compile(
    r"`(?P<path>[a-z_](?:[a-z0-9_.*,{}-]*/)+[A-Za-z0-9_.*,{}-]+|[A-Za-z0-9_*-]+\.(?:\{[a-z,]+\}|cc|h|md|mjs|py|ts))`"
)
# Made by a build, payload formats, examples, and files of libwebrtc.
NO_PATH = re.compile(r"build/|sdks/web/dist|red/\d|ulpfec/|x\.cc|x_test\.cc|NNNN-|\w+_unittest\.cc")
TABLE = "| | |\n|---|---|\n"
TEXT = {".cc", ".h", ".js", ".md", ".mjs", ".proto", ".py", ".pyi", ".toml", ".ts", ".tsx", ".txt", ".yml"}


@dataclass(frozen=True, slots=True)
class Decision:
    number: int
    name: str
    title: str
    successor: int | None


def read_decisions(root: Path, faults: list[str]) -> list[Decision]:
    """The decisions in the folder, sorted by number; one without a valid heading is a fault."""
    found = []
    for path in sorted((root / FOLDER).glob("*.md")):
        if path.name == INDEX.name:
            continue
        name, heading = NAME.fullmatch(path.name), HEADING.match(path.read_text())
        if name is None or heading is None or int(heading["number"]) != int(name["number"]):
            faults.append(
                f"{FOLDER / path.name}: does not begin with the heading of a decision (see {INDEX})"
            )
            continue
        successor = int(heading["successor"]) if heading["successor"] else None
        found.append(Decision(int(heading["number"]), path.name, heading["title"], successor))
    return found


def check_numbers(decisions: Iterable[Decision]) -> Iterator[str]:
    numbers = [decision.number for decision in decisions]
    for place, (number, decision) in enumerate(zip(numbers, decisions, strict=True), 1):
        if number != place:
            yield f"{FOLDER / decision.name}: is number {place} of the decisions; numbers have no gaps"
            return
    for decision in decisions:
        if decision.successor is not None and decision.successor not in numbers:
            yield f"{FOLDER / decision.name}: is superseded by {decision.successor}, which does not exist"


def index_of(decisions: Iterable[Decision]) -> str:
    rows = (
        f"| [{decision.number:04}]({decision.name}) | {decision.title}"
        + (f" (superseded by {decision.successor})" if decision.successor else "")
        + " |\n"
        for decision in decisions
    )
    return TABLE + "".join(rows)


def with_index(text: str, decisions: Iterable[Decision]) -> str:
    """The index page with a new table, which is the end of the page."""
    return text.partition(TABLE)[0] + index_of(decisions)


def check_references(name: str, text: str, decisions: Iterable[Decision]) -> Iterator[str]:
    names = {decision.number: decision.name for decision in decisions}
    for reference in REFERENCE.finditer(text):
        actual = names.get(int(reference["number"]))
        if actual is None or (reference["name"] and reference["number"] + reference["name"] != actual):
            yield f"{name}:{line_of(text, reference)}: there is no {reference[0]}"
    if name.startswith("docs/"):
        for bare in BARE_NUMBER.finditer(text):
            if int(bare["number"]) not in names:
                yield f"{name}:{line_of(text, bare)}: there is no decision {bare['number']}"


def line_of(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1


def check_links(root: Path, name: str, text: str) -> Iterator[str]:
    for link in LINK.finditer(text):
        target = (root / name).parent / link["path"]
        if not target.exists():
            fault = f"links to {link['path']}, which does not exist"
        elif link["anchor"] and link["anchor"] not in anchors(target.read_text() if link["path"] else text):
            fault = f"links to #{link['anchor']}, which is no heading of {link['path'] or 'this page'}"
        else:
            continue
        yield f"{name}:{line_of(text, link)}: {fault}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def check_paths(name: str, text: str, tracked: "Tracked") -> Iterator[str]:
    for found in PATH.finditer(text):
        if not NO_PATH.match(found["path"]) and not tracked.has(found["path"]):
            yield f"{name}:{line_of(text, found)}: names {found['path']}, which does not exist"


class Tracked:
    """The files of the repository, by the ends of their paths."""

    def __init__(self, names: Iterable[str]) -> None:
        paths = [Path(name) for name in names]
        with_folders = {str(each) for path in paths for each in (path, path.with_suffix(""), *path.parents)}
        self._ends = {
            "/".join(parts[first:])
            for parts in (path.split("/") for path in with_folders)
            for first in range(len(parts))
        }

    def has(self, path: str) -> bool:
        """Whether a path ends like this one; of `a/{b,c}` both, of `a/*` at least one."""
        braces = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
        if braces:
            return all(self.has(braces[1] + each + braces[3]) for each in braces[2].split(","))
        if "*" in path:
            return any(fnmatch.fnmatchcase(end, path) for end in self._ends)
        return path in self._ends


def tracked_names(root: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


def read_texts(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        path = root / name
        if (path.suffix in TEXT or path.name == "Makefile") and path.is_file():
            yield name, path.read_text()


def tracked_texts(root: Path) -> Iterator[tuple[str, str]]:
    return read_texts(root, tracked_names(root))


def check(root: Path, names: Iterable[str], texts: Iterable[tuple[str, str]]) -> list[str]:
    """Every fault of `texts`, names with content, in a repository that has the files `names`."""
    faults: list[str] = []
    decisions = read_decisions(root, faults)
    faults += check_numbers(decisions)
    index = (root / INDEX).read_text()
    if index != with_index(index, decisions):
        faults.append(f"{INDEX}: is out of date; run scripts/documents.py --write")
    tracked = Tracked(names)
    for name, text in texts:
        faults += check_references(name, text, decisions)
        if name.endswith(".md"):
            faults += check_links(root, name, text)
            faults += check_paths(name, text, tracked)
    return faults


def main() -> int:
    if "--write" in sys.argv[1:]:
        path = ROOT / INDEX
        path.write_text(with_index(path.read_text(), read_decisions(ROOT, [])))
    names = tracked_names(ROOT)
    faults = check(ROOT, names, read_texts(ROOT, names))
    print("\n".join(faults) or "Documents and files agree.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
