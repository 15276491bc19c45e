"""Checks the includes of native/: a folder includes only what its feature may use by `native/CMakeLists.txt`.

The linker detects neither a header that includes an upper folder nor a cycle of features; this check does.
Tests may include everything.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from stages import ROOT

FEATURE = re.compile(r"nexus_feature\(\s*(\w+)\s+(.*?)\)", re.DOTALL)
INCLUDE = re.compile(r'^#include "((?:\w+/)+)\w+\.h"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Feature:
    folder: str  # below native/
    uses: frozenset[str]


def read_features(cmake: str) -> dict[str, Feature]:
    """The features by name; other libraries are skipped."""
    features = {}
    for name, arguments in FEATURE.findall(cmake):
        values: dict[str, list[str]] = {"FOLDER": [], "DEPS": [], "TEST_DEPS": []}
        target = values["FOLDER"]
        for word in arguments.split():
            if word in values:
                target = values[word]
            else:
                target.append(word)
        ours = (word.removeprefix("nexus_") for word in values["DEPS"] if word.startswith("nexus_"))
        features[name] = Feature(values["FOLDER"][0], frozenset(ours))
    return features


def reachable(features: Mapping[str, Feature], start: frozenset[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in start if name in features]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(other for other in features[name].uses if other in features)
    return found


def find_faults(native: Path) -> list[str]:
    """One sentence for each fault."""
    features = read_features((native / "CMakeLists.txt").read_text())
    graph = {name: feature.uses & features.keys() for name, feature in features.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"CMakeLists.txt: features form a dependency cycle: {' → '.join(error.args[1])}"]
    by_folder = {feature.folder: name for name, feature in features.items()}
    faults = []
    for name, feature in features.items():
        allowed = reachable(features, feature.uses) | {name}
        for path in sorted((native / feature.folder).rglob("*")):
            if path.suffix not in (".h", ".cc") or path.stem.endswith("_test"):
                continue
            for folder in INCLUDE.findall(path.read_text()):
                used = owner(folder, by_folder)
                if used is not None and used not in allowed:
                    faults.append(f"{path.relative_to(native)}: {name} may not include {used}")
    return faults


def owner(folder: str, by_folder: Mapping[str, str]) -> str | None:
    """The feature that holds the folder, or one above it."""
    parts = folder.rstrip("/").split("/")
    for count in range(len(parts), 0, -1):
        if (found := by_folder.get("/".join(parts[:count]))) is not None:
            return found
    return None


if __name__ == "__main__":
    found = find_faults(ROOT / "native")
    print("\n".join(found) or "native: every include follows CMakeLists.txt")
    sys.exit(bool(found))
