"""Checks the documentation of the services' environment variables.

Each service's README has one table of its variables, generated from its typed configuration. Other documents
link to it, and mention only variables that exist.

`configuration.py` prints each fault and fails if there are any; `configuration.py --write` also writes the
tables.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

from documents import line_of, tracked_texts
from nexus_runtime import ServiceConfig, describe
from stages import ROOT

HEADING = "## Configuration\n\n"
VARIABLE = re.compile(r"\bNEXUS_[A-Z0-9_]*[A-Z0-9]\b(?![*_])")
# A table row that describes a variable. Its first cell is the variable.
ROW = re.compile(r"^\| *`(NEXUS_[A-Z0-9_]+)`", re.MULTILINE)
# Variables of the command line, the tests and the build.
OTHERS = frozenset(
    {
        "NEXUS_APP",
        "NEXUS_APP_SECRET",
        "NEXUS_TOKEN",
        "NEXUS_URL",
        "NEXUS_WEBHOOK_SECRET",
        "NEXUS_TEST_DATA",
        "NEXUS_IPSEC_MB",
        "NEXUS_WRITE_VECTORS",
    }
)
# Decisions describe the past.
SKIPPED = "docs/decisions/"


def configuration_of(name: str) -> type[ServiceConfig]:
    """The configuration class that `nexus_<name>.config` defines."""
    module = import_module(f"nexus_{name}.config")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ServiceConfig)
        and value.__module__ == module.__name__
    )
    return found


def tables(root: Path) -> dict[str, str]:
    """The table of every service, by the path of its README."""
    names = sorted(path.parents[2].name for path in root.glob("services/*/src/nexus_*/config.py"))
    return {f"services/{name}/README.md": describe(configuration_of(name)) for name in names}


def with_table(text: str, table: str) -> str:
    """The document with `table` as the section "Configuration", which is appended if it is missing."""
    before, heading, after = text.partition(HEADING)
    rest = after[after.index("\n## ") + 1 :] if "\n## " in after else ""
    start = before if heading else before.rstrip("\n") + "\n\n"
    return f"{start}{HEADING}{table}" + (f"\n{rest}" if rest else "")


def check(texts: Iterable[tuple[str, str]], expected: Mapping[str, str]) -> Iterator[str]:
    documents = {name: text for name, text in texts if name.endswith(".md")}
    for name, table in expected.items():
        if HEADING + table not in documents.get(name, ""):
            yield f"{name}: the table of variables is out of date; run scripts/configuration.py --write"
    known = OTHERS.union(*(ROW.findall(table) for table in expected.values()))
    for name, text in documents.items():
        if name.startswith(SKIPPED):
            continue
        for match in VARIABLE.finditer(text):
            if match[0] not in known:
                yield f"{name}:{line_of(text, match)}: {match[0]} does not exist"
        if name not in expected:
            for match in ROW.finditer(text):
                yield f"{name}:{line_of(text, match)}: {match[1]} belongs in the README of its service"


def main() -> int:
    expected = tables(ROOT)
    if "--write" in sys.argv[1:]:
        for name, table in expected.items():
            path = ROOT / name
            path.write_text(with_table(path.read_text(), table))
    faults = list(check(tracked_texts(ROOT), expected))
    print("\n".join(faults) or "The tables of variables agree with the configurations.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
