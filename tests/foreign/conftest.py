"""Fixtures: the single run with all clients, which every test of this folder evaluates."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder holds programs and is not a package

from harness.participant import ClientFailed
from harness.roster import PUBLISHERS
from harness.run import Outcome, perform
from harness.services import services


class Run:
    """The result of the single run that all tests evaluate: an outcome, or the reason why there is none."""

    def __init__(self, outcome: Outcome | None, failure: str = "") -> None:
        self._outcome = outcome
        self._failure = failure

    def outcome(self) -> Outcome:
        if self._outcome is not None:
            return self._outcome
        failure, self._failure = self._failure, "the run failed: see the first error"
        pytest.fail(failure, pytrace=False)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("foreign")
    with services(folder, audio_loudest=len(PUBLISHERS)) as url:
        try:
            result = Run(asyncio.run(perform(url, folder)))
        except ClientFailed as failure:
            result = Run(None, str(failure))
        yield result


@pytest.fixture
def outcome(run: Run) -> Outcome:
    return run.outcome()
