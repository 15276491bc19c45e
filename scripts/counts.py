"""Numbers of passed and failed tests, read from the output of test runners."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Count:
    passed: int = 0
    failed: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed)


Counter = Callable[[str], Count]


def _sum(pattern: str, text: str) -> int:
    return sum(int(number) for number in re.findall(pattern, text))


def count_pytest(output: str) -> Count:
    """``3 failed, 112 passed, 1 error in 10.59s``: the last such line."""
    summary = re.compile(r"\b(passed|failed|errors?)\b.* in [\d.]+s")
    lines = [line for line in output.splitlines() if summary.search(line)]
    last = lines[-1] if lines else ""
    return Count(_sum(r"(\d+) passed", last), _sum(r"(\d+) (?:failed|errors?)", last))


def count_vitest(output: str) -> Count:
    """``Tests  1 failed | 34 passed (35)``."""
    lines = "\n".join(line for line in output.splitlines() if re.match(r"\s*Tests\s+\d", line))
    return Count(_sum(r"(\d+) passed", lines), _sum(r"(\d+) failed", lines))


def count_node(output: str) -> Count:
    """``ℹ pass 12`` and ``ℹ fail 0``; ``#`` instead of ``ℹ`` without a terminal."""
    return Count(_sum(r"(?m)^\S+ pass (\d+)$", output), _sum(r"(?m)^\S+ (?:fail|cancelled) (\d+)$", output))


def count_ctest(output: str) -> Count:
    """``100% tests passed, 0 tests failed out of 37``."""
    found = re.findall(r"(\d+) tests? failed out of (\d+)", output)
    return sum((Count(int(total) - int(failed), int(failed)) for failed, total in found), Count())


def count_gtest(output: str) -> Count:
    """``[  PASSED  ] 12 tests.`` and ``[  FAILED  ] 1 test, listed below:``."""
    passed = _sum(r"(?m)^\[  PASSED  \] (\d+) tests?\.", output)
    return Count(passed, _sum(r"(?m)^\[  FAILED  \] (\d+) tests?, listed below", output))
