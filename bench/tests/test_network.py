"""The bench fetches and builds everything before it leaves the machine's own network."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from unittest.mock import MagicMock

import _network
import pytest


class Restarted(Exception):
    """Raised where the program would restart itself in a new namespace."""


@pytest.fixture
def steps() -> list[str]:
    """The recorded steps, in order; none is executed."""
    return []


@pytest.fixture
def sfu(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program. LiveKit's Python package, which only `scripts/setup bench` installs, is replaced."""

    def restart(program: str, arguments: Sequence[str]) -> None:
        steps.append(program)
        raise Restarted(*arguments)

    def noting(name: str) -> Callable[[], None]:
        return lambda: steps.append(name)

    for name in ("livekit", "livekit.protocol"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    for name in ("sfu", "_load_livekit"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    program = importlib.import_module("sfu")
    monkeypatch.setattr(program, "build", noting("generator"))
    monkeypatch.setattr(program._load_livekit, "build", noting("livekit"))
    monkeypatch.setattr(os, "execvp", restart)
    monkeypatch.delenv(_network.MARK, raising=False)
    return program


def test_everything_is_built_before_the_namespace_is_entered(
    sfu: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sfu.py"])
    with pytest.raises(Restarted):
        sfu.main()
    assert steps == ["generator", "livekit", "unshare"]


def test_only_the_measured_servers_are_built(
    sfu: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sfu.py", "--servers", "nexus", "janus"])
    with pytest.raises(Restarted):
        sfu.main()
    assert steps == ["generator", "unshare"]


def test_nothing_is_built_in_the_namespace(
    sfu: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_network.MARK, "1")
    _network.enter(lambda: sfu.prepare(["livekit"]))
    assert steps == []
