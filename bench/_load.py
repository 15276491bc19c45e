"""Speaks to `nexus_load script` (native/bench/load/load_script.h), and says what an adapter for an SFU is.

The generator is media only; an adapter does the signaling of one SFU: it starts the server, lets people join,
and tells the generator each one's ICE and DTLS parameters and streams.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
BINARY = BUILD / "bench" / "nexus_load"

# What browsers negotiate, with the same numbers for every server.
AUDIO_PT, VIDEO_PT, RTX_PT = 111, 96, 97
EXTENSIONS = {
    1: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    2: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    3: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    4: "urn:ietf:params:rtp-hdrext:sdes:mid",
    10: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    11: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
}
# Three encodings of 720p, low to high: rid, bits per second, width, height.
SIMULCAST = (("q", 150_000, 320, 180), ("h", 500_000, 640, 360), ("f", 1_500_000, 1280, 720))


def build() -> None:
    """Configures and compiles the generator, when it is not there or its sources have changed."""
    configure = ["cmake", "-S", "native", "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    quiet = subprocess.DEVNULL
    if not (BUILD / "build.ninja").exists():
        subprocess.run(
            [*configure, "-DNEXUS_TESTS=OFF", "-DNEXUS_BENCH=ON"], cwd=ROOT, check=True, stdout=quiet
        )
    subprocess.run(["ninja", "-C", str(BUILD), "nexus_load"], cwd=ROOT, check=True, stdout=quiet)


@dataclass(slots=True)
class Person:
    """One participant of a scene: what it publishes, and how many of each kind it can watch."""

    index: int
    audio: bool = False
    video: bool = False
    simulcast: bool = True
    loss_percent: float = 0.0
    audio_slots: int = 0
    video_slots: int = 0
    ufrag: str = ""
    pwd: str = ""
    video_ssrcs: list[tuple[int, int]] = field(default_factory=list)  # with RTX

    @property
    def audio_ssrc(self) -> int:
        return 0x10000000 + self.index * 16

    def encodings(self) -> Sequence[tuple[str, int, int, int]]:
        return SIMULCAST if self.simulcast else SIMULCAST[-1:]

    def video_ssrc(self, encoding: int) -> tuple[int, int]:
        return self.audio_ssrc + 1 + 2 * encoding, self.audio_ssrc + 2 + 2 * encoding


class LoadError(Exception):
    """The generator refused a line, or has ended."""


class Generator:
    def __init__(self, *, core: int, gro: bool, open_one_in: int = 32) -> None:
        environment = {
            **os.environ,
            "NEXUS_LOAD_CORE": str(core),
            "NEXUS_LOAD_GRO": str(int(gro)),
            "NEXUS_LOAD_OPEN_ONE_IN": str(open_one_in),
        }
        self._process = subprocess.Popen(
            [str(BINARY), "script"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        hello = self._read()
        self.fingerprint = _values(hello)["fingerprint"]
        self.ask(f"codec name=opus pt={AUDIO_PT} clock=48000")
        self.ask(f"codec name=VP8 pt={VIDEO_PT} clock=90000 rtx={RTX_PT}")
        for number, uri in EXTENSIONS.items():
            self.ask(f"extension uri={uri} id={number}")

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadError("the generator has ended")
        return line.strip()

    def raw(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if answer.startswith("error"):
            raise LoadError(f"{line}: {answer}")
        return answer

    def ask(self, line: str) -> dict[str, str]:
        return _values(self.raw(line))

    def add(self, person: Person) -> None:
        """Persons are added in the order of their index."""
        answer = self.ask(f"peer loss={person.loss_percent}")
        assert int(answer["index"]) == person.index
        person.ufrag, person.pwd = answer["ufrag"], answer["pwd"]
        if person.audio:
            self.ask(
                f"send peer={person.index} kind=audio codec=opus pt={AUDIO_PT} ssrc={person.audio_ssrc} mid=0"
            )
        if not person.video:
            return
        for i, (rid, bitrate, _, _) in enumerate(person.encodings()):
            ssrc, rtx = person.video_ssrc(i)
            name = f" rid={rid}" if person.simulcast else ""
            self.ask(
                f"send peer={person.index} kind=video codec=VP8 pt={VIDEO_PT} rtx_pt={RTX_PT} ssrc={ssrc}"
                f" rtx_ssrc={rtx} mid=1 bitrate={bitrate}{name}"
            )

    def close(self) -> None:
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.write("quit\n")
            self._process.stdin.flush()
            self._process.wait(timeout=30)


def _values(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


class Adapter(Protocol):
    """One SFU under test. Everything that differs between servers is behind this."""

    name: str

    async def start(self, *, core: int) -> None: ...

    async def join(self, generator: Generator, people: Sequence[Person]) -> None:
        """Signals everybody, and tells the generator `receive` and `connect` for each."""
        ...

    def cpu_seconds(self) -> float:
        """Of the server's process, all threads, since it started."""
        ...

    def media_cpu_seconds(self) -> float | None:
        """Of the threads that carry media alone, where they can be told apart."""
        ...

    def memory_bytes(self) -> int: ...

    def features(self) -> dict[str, object]:
        """Version, settings, and what is on (TWCC, pacing, RTX): they stand beside the figures."""
        ...

    async def stop(self) -> None: ...


def process_cpu_seconds(pid: int, thread_prefix: str | None = None) -> float:
    """utime and stime of /proc/<pid>/stat, or of the threads whose name begins so."""
    tick = os.sysconf("SC_CLK_TCK")

    def seconds(path: Path) -> float:
        fields = path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / tick

    if thread_prefix is None:
        return seconds(Path(f"/proc/{pid}/stat"))
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(seconds(t / "stat") for t in tasks if (t / "comm").read_text().startswith(thread_prefix))


def process_memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
