"""Runs all tests, the cheapest stages first. Called by `make test`.

FUZZ_SECONDS sets how long each fuzzer runs (default 5, in CI 15, in `make fuzz` 60). STAGES=python,web runs
only those stages; the stages `clang`, `gcc` and `chaos-recording` run only when they are named there.

With LANES=2, calls in real time run beside compilers and tests in emulated time, which leave them the
processor (decision 0043).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from commands import Command
from counts import count_ctest, count_gtest, count_node, count_pytest, count_vitest
from stages import CALLS, JOBS, ROOT, Stage, run

FUZZ_SECONDS = os.environ.get("FUZZ_SECONDS", "5")
PYTEST = [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors"]
PYTHON_FOLDERS = [
    "libs",
    "services",
    "sdks/python",
    "cli",
    "native/python",
    "scripts",
    "bench",
    "tests/services",
]
# Tests that use whole services on an emulated network, or several processes.
SYSTEM_FOLDERS = ["tests/scenario"]
# Tests that kill and stop the processes of a deployment, one after another, for half an hour.
CHAOS_FOLDERS = ["tests/chaos"]
# Script that runs a command in a network namespace with loopback and one address without a route.
IN_NAMESPACE = "tests/e2e/support/in_namespace.sh"
# Flags of test builds: slightly optimised, because tests emulate minutes of loss, with asserts.
NATIVE_FLAGS = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1"]
NATIVE_FLAGS += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
# The same settings as in scripts/setup, so that ccache has most objects of the plain build.
CCACHE = {"CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}
CTEST = ["--output-on-failure"]
# The compiler of the fuzzers, and of the preset `clang` (native/CMakePresets.json).
CLANG = "clang++-19"
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


# Folder of inputs that broke other parsers: NEXUS_TEST_DATA, by default beside the repository.
TEST_DATA = Path(os.environ.get("NEXUS_TEST_DATA", ROOT.parent / "shared" / "data"))


def has(pattern: str) -> bool:
    return any(True for path in ROOT.glob(pattern) if "node_modules" not in path.parts)


def python_tests(folders: list[str]) -> list[str]:
    return [folder for folder in folders if has(f"{folder}/**/test_*.py")]


def configured(folder: str, *options: str) -> Command:
    return Command(["cmake", "-S", "native", "-B", folder, "-G", "Ninja", *NATIVE_FLAGS, *options])


def built(folder: str, *targets: str) -> Command:
    target = ["--target", *targets] if targets else []
    return Command(["cmake", "--build", folder, "-j", JOBS, *target], environment=CCACHE)


def without_address_randomisation() -> list[str]:
    """The prefix of a command that disables address randomisation, because TSan of g++ 12 does not start with
    the number of random bits that newer kernels use. Containers may forbid this; they usually do not need
    it."""
    if shutil.which("setarch") is None:
        return []
    allowed = subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0
    return ["setarch", "-R"] if allowed else []


def fuzzer_names() -> list[str]:
    return sorted(source.stem for source in (ROOT / "native" / "fuzz").glob("*_fuzz.cc"))


def fuzzers(build: str) -> Iterator[Command]:
    for name in fuzzer_names():
        topic = name.removesuffix("_fuzz")
        found = f"{build}/found/{name}"
        (ROOT / found).mkdir(parents=True, exist_ok=True)
        seeds = [f"native/fuzz/corpus/{topic}"] if has(f"native/fuzz/corpus/{topic}/*") else []
        others = TEST_DATA / "corpora" / f"{topic}_fuzzer"
        seeds += [str(others)] if others.is_dir() else []
        limits = [f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048"]
        artifacts = f"-artifact_prefix={build}/{name}-"
        program = [f"{build}/fuzz/{name}", *limits, artifacts, found, *seeds]
        yield Command(program, environment=SANITIZER_OPTIONS)
    # The SDP parser is Python.
    sdp = ["services/sfu/tests/fuzz_sdp.py", "--seconds", FUZZ_SECONDS, "--crash", f"{build}/sdp.crash"]
    yield Command([sys.executable, *sdp])


def python_stages() -> Iterator[Stage]:
    if folders := python_tests(PYTHON_FOLDERS):
        yield Stage("python", [Command([*PYTEST, *folders], count_pytest)])


def web_stages() -> Iterator[Stage]:
    if has("sdks/web/**/*.test.ts"):
        yield Stage("web", [Command(["npm", "test", "-w", "sdks/web"], count_vitest)])


def engine_stages() -> Iterator[Stage]:
    if has("native/**/*_test.cc"):
        asan = "build/asan"
        yield Stage(
            "engine-asan-ubsan",
            [Command(["ctest", "--test-dir", asan, "-j", JOBS, *CTEST], count_ctest, SANITIZER_OPTIONS)],
            [configured(asan, "-DNEXUS_SANITIZE=address,undefined"), built(asan)],
        )
    if has("native/steady_state/*_test.cc"):
        plain = "build/plain"
        yield Stage(
            "engine-plain",
            [Command([f"{plain}/steady_state_test"], count_gtest)],
            # The last definition applies: optimised as in the release.
            [configured(plain, "-DCMAKE_BUILD_TYPE=Release"), built(plain, "steady_state_test")],
        )
    if has("native/io/*_test.cc"):
        tsan = "build/tsan"
        program = [*without_address_randomisation(), f"{tsan}/io_test"]
        yield Stage(
            "engine-tsan",
            [Command(program, count_gtest, SANITIZER_OPTIONS)],
            [configured(tsan, "-DNEXUS_SANITIZE=thread"), built(tsan, "io_test")],
        )
    if names := fuzzer_names():
        fuzz = "build/fuzz"
        options = ["-DNEXUS_FUZZ=ON", "-DNEXUS_TESTS=OFF", "-DNEXUS_SANITIZE=address,undefined"]
        yield Stage(
            "fuzz",
            list(fuzzers(fuzz)),
            [configured(fuzz, f"-DCMAKE_CXX_COMPILER={CLANG}", *options), built(fuzz, *names)],
            parallel=True,
        )


def compiler_stages() -> Iterator[Stage]:
    """The whole engine with its tests, module, benchmarks and, for clang, fuzzers, built by another compiler
    and not sanitized. `gcc` takes the compiler that CXX names. Each takes about ten minutes."""
    for preset in ("clang", "gcc"):
        folder = f"build/{preset}"
        options = ["-S", "native", "--preset", preset, "--fresh", f"-DPython_EXECUTABLE={sys.executable}"]
        yield Stage(
            preset,
            [
                Command(["ctest", "--test-dir", folder, "-j", JOBS, *CTEST], count_ctest),
                # A module with an undefined symbol can be linked, but not loaded.
                Command(
                    [sys.executable, "-c", "import _engine, _depacketizer"],
                    environment={"PYTHONPATH": f"{folder}/module"},
                ),
            ],
            [Command(["cmake", *options]), built(folder)],
        )


def chaos_stages() -> Iterator[Stage]:
    if folders := python_tests(CHAOS_FOLDERS):
        yield Stage("chaos-recording", [Command([*PYTEST, "-s", *folders], count_pytest)], lane=CALLS)


def foreign_stages() -> Iterator[Stage]:
    """Foreign WebRTC stacks with the real services. They are built before, because their namespace has no
    network."""
    if has("tests/foreign/test_*.py"):
        yield Stage(
            "foreign",
            [Command([IN_NAMESPACE, *PYTEST, "tests/foreign"], count_pytest)],
            [Command(["tests/foreign/build.sh"])],
            lane=CALLS,
        )


def system_stages() -> Iterator[Stage]:
    if folders := python_tests(SYSTEM_FOLDERS):
        yield Stage("scenario", [Command([*PYTEST, *folders], count_pytest)], lane=CALLS)
    if has("tests/e2e/*.test.mjs"):
        yield Stage("e2e", [Command(["npm", "test", "-w", "tests/e2e"], count_node)], lane=CALLS)


if __name__ == "__main__":
    if TEST_DATA.is_dir():
        os.environ["NEXUS_TEST_DATA"] = str(TEST_DATA)
    stages = [*python_stages(), *web_stages(), *engine_stages(), *system_stages(), *foreign_stages()]
    requested = os.environ.get("STAGES", "").split(",")
    on_request = [*compiler_stages(), *chaos_stages()]
    stages += [stage for stage in on_request if stage.name in requested]
    sys.exit(run(stages))
