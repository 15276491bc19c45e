"""Makes the helpers of this folder importable, and provides a running service."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

if TYPE_CHECKING:
    from services.signaling.tests.harness import Harness


@pytest.fixture
async def harness() -> "AsyncIterator[Harness]":
    from services.signaling.tests.harness import Harness

    async with Harness() as running:
        yield running
